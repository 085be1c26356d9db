"""Servers to ask, on this machine, and names that lead where a test says."""

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_network

import pytest
from django.test import override_settings

from kernel.egress import destinations

Script = Callable[[socket.socket, bytes], None]


@dataclass
class Server:
    """Answers each connection by a script; remembers what it was sent."""

    listener: socket.socket
    script: Script
    requests: list[bytes] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def url(self, path: str = "/", host: str = "hook.example") -> str:
        return f"http://{host}:{self.port}{path}"

    def run(self) -> None:
        while True:
            try:
                taken, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[taken], daemon=True).start()

    def _serve(self, taken: socket.socket) -> None:
        with taken:
            head = b""
            while b"\r\n\r\n" not in head:
                part = taken.recv(65536)
                if not part:
                    return
                head += part
            self.requests.append(head)
            try:
                self.script(taken, head)
            except OSError:
                return


def answering(status: str = "200 OK", body: bytes = b"hello", *headers: str) -> Script:
    """A script that answers once."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]

    def script(taken: socket.socket, head: bytes) -> None:
        taken.sendall("\r\n".join(lines).encode() + body)

    return script


@pytest.fixture
def serve() -> Iterator[Callable[[Script], Server]]:
    """Starts servers on 127.0.0.1, which alone is admitted while they run."""
    started: list[Server] = []
    ports: list[int] = [80, 443]

    def start(script: Script) -> Server:
        server = Server(socket.create_server(("127.0.0.1", 0)), script)
        threading.Thread(target=server.run, daemon=True).start()
        started.append(server)
        ports.append(server.port)
        return server

    admitted = [ip_network("127.0.0.1/32")]
    with override_settings(
        EGRESS_ALLOWED_NETWORKS=admitted, EGRESS_ALLOWED_PORTS=ports, EGRESS_ALLOW_PLAIN_HTTP=True
    ):
        yield start
    for server in started:
        # Closing alone would not wake the thread that accepts.
        server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()


@dataclass
class Names:
    """A resolver whose answers a test writes: each look-up takes the next, the last one stays."""

    answers: dict[str, list[list[str]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def look_up(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        known = self.answers.get(host)
        if known is None:
            raise OSError("unknown name")
        return known.pop(0) if len(known) > 1 else known[0]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """`hook.example` is this machine until a test says otherwise."""
    found = Names({"hook.example": [["127.0.0.1"]]})
    monkeypatch.setattr(destinations, "look_up", found.look_up)
    return found
