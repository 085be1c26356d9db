"""A scripted pod: holds adapters and answers probes as the real one does, and fails in the ways it does."""

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from training.recipes.artifact import ADAPTER_FILES, digest_of

KEY = "the pod's own key"


def adapter(weights: bytes = b"weights") -> tuple[str, bytes]:
    """An adapter's digest and its archive."""
    files = {"adapter_config.json": b"{}", "adapter_model.safetensors": weights}
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return digest_of(
        {name: hashlib.sha256(one).hexdigest() for name, one in files.items()}
    ), archive.getvalue()


@dataclass
class FakePod:
    """What the pod holds, what it was asked, and how it misbehaves."""

    base: str
    adapters: set[str] = field(default_factory=set)
    pushed: list[str] = field(default_factory=list)
    probed: list[str] = field(default_factory=list)
    answers_as: str | None = None
    status: int | None = None
    url: str = ""

    def restart(self) -> None:
        """Come back without anything."""
        self.adapters.clear()
        self.pushed.clear()

    def put(self, adapter_id: str, body: bytes) -> tuple[int, dict[str, Any]]:
        try:
            with tarfile.open(fileobj=io.BytesIO(body), mode="r:") as tar:
                files = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
        except tarfile.TarError as fault:
            return refusal(f"the body is not an uncompressed tar: {fault}")
        found = digest_of({name: hashlib.sha256(one).hexdigest() for name, one in files.items()})
        if set(files) != set(ADAPTER_FILES) or adapter_id != f"adapter-{found}":
            return refusal("its files have another digest than its id says")
        new = adapter_id not in self.adapters
        self.adapters.add(adapter_id)
        self.pushed.append(adapter_id)
        return (201 if new else 200), {"adapter_id": adapter_id}

    def generate(self, body: dict[str, Any]) -> tuple[int, dict[str, Any], str]:
        wanted = body["parameters"].get("adapter_id") or self.base
        if wanted != self.base and wanted not in self.adapters:
            message = f"Input validation error: adapter_id `{wanted}` is not loaded on this pod"
            return 422, {"error": message, "error_type": "validation"}, ""
        self.probed.append(wanted)
        return 200, {"generated_text": "H"}, self.answers_as or wanted


def refusal(reason: str) -> tuple[int, dict[str, Any]]:
    return 422, {"error": f"Adapter refused: {reason}", "error_type": "validation"}


class PodServer(ThreadingHTTPServer):
    """The pod behind a port."""

    daemon_threads = True

    def __init__(self, pod: FakePod) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pod = pod


class Handler(BaseHTTPRequestHandler):
    """The pod's routes."""

    protocol_version = "HTTP/1.1"

    @property
    def pod(self) -> FakePod:
        assert isinstance(self.server, PodServer)
        return self.server.pod

    def log_message(self, *args: Any) -> None:
        pass

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        whole = b""
        while size := int(self.rfile.readline(), 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def answer(self, status: int, body: Any, served_by: str = "") -> None:
        content = json.dumps(body).encode() if body is not None else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        if served_by:
            self.send_header("x-adapter-id", served_by)
        self.end_headers()
        self.wfile.write(content)

    def admitted(self) -> bool:
        if self.headers.get("Authorization") != f"Bearer {KEY}":
            self.answer(401, {"error": "The pod's key is missing or wrong.", "error_type": "unauthorized"})
            return False
        if self.pod.status is not None:
            self.answer(self.pod.status, {"error": "unhealthy", "error_type": "healthcheck"})
            return False
        return True

    def do_GET(self) -> None:
        if self.admitted():
            rows = [{"adapter_id": one, "loaded": False} for one in sorted(self.pod.adapters)]
            self.answer(200, {"base": self.pod.base, "adapters": rows})

    def do_PUT(self) -> None:
        body = self.body()
        if self.admitted():
            self.answer(*self.pod.put(self.path.removeprefix("/adapters/"), body))

    def do_DELETE(self) -> None:
        if self.admitted():
            adapter_id = self.path.removeprefix("/adapters/")
            known = adapter_id in self.pod.adapters
            self.pod.adapters.discard(adapter_id)
            self.answer(204 if known else 404, None if known else {"error": "no such adapter"})

    def do_POST(self) -> None:
        body = self.body()
        if self.admitted():
            self.answer(*self.pod.generate(json.loads(body)))


@contextmanager
def running(pod: FakePod) -> Iterator[FakePod]:
    """The pod behind a port."""
    server = PodServer(pod)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    pod.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield pod
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
