"""The ways to the scripted models that are compared, each as processes of its own."""

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import psutil
from redis.asyncio import Redis

from config.onemachine import install
from tests.benchmarks.data_plane.model import CHAT, MODEL, WHOLE
from tests.inference.gateway.house import PEPPER, Publisher, Tenant, ValkeyServer, deployment, free_port

LITELLM_KEY = "sk-benchmark"
_UP_SECONDS = 120.0
# The gateway has every answer streamed to it, whole ones too.
_STREAMED = "".join(
    f"data: {line}\\n\\n"
    for line in [
        *('{"choices":[{"index":0,"text":"tok ","finish_reason":null}]}' for _ in range(4)),
        '{"choices":[{"index":0,"text":"","finish_reason":"stop"}],'
        '"usage":{"prompt_tokens":10,"completion_tokens":4,"total_tokens":14}}',
        "[DONE]",
    ]
).replace('"', '\\"')
_NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/errors;
events {{ worker_connections 2048; }}
http {{
    access_log off; keepalive_requests 100000000;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    {inside}
}}
"""
_ANSWERING = """
server {{
    listen 127.0.0.1:{port} backlog=1024;
    location = /v1/chat/completions {{ default_type application/json; return 200 '{whole}'; }}
    location = /v1/completions {{ default_type text/event-stream; return 200 "{streamed}"; }}
    location / {{ default_type application/json; return 200 '{{"data":[]}}'; }}
}}
"""
_PASSING = """
upstream model {{ server {model}; keepalive 128; keepalive_requests 100000000; }}
server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{
        proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }}
}}
"""
_LITELLM = """
model_list:
  - model_name: {name}
    litellm_params: {{model: openai/{name}, api_base: "{url}/v1", api_key: none}}
general_settings: {{master_key: {key}}}
litellm_settings: {{telemetry: false, cache: {cache}, cache_params: {{type: local}}}}
"""


class Missing(Exception):
    """A program that the comparison needs is not there."""


@dataclass(frozen=True)
class Way:
    """One way to a model: where it is asked, with which key, and which process does it."""

    name: str
    url: str
    key: str
    process: psutil.Process

    @property
    def address(self) -> str:
        return self.url + CHAT.decode()

    def cpu_seconds(self) -> float:
        """CPU time of the process, its children and their threads, by the scheduler's own nanoseconds."""
        return sum(_cpu_seconds(one.pid) for one in (self.process, *self.process.children(recursive=True)))

    def memory_mib(self) -> float:
        """What all its processes have in memory."""
        all_of_it = (self.process, *self.process.children(recursive=True))
        return sum(one.memory_info().rss for one in all_of_it) / 2**20


@dataclass(frozen=True)
class GatewayWay(Way):
    """The gateway, and the Valkey that it has to itself."""

    valkey_url: str


def _cpu_seconds(pid: int) -> float:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def program(name: str) -> str:
    """Where a program is. Raises `Missing`."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise Missing(
            f"The gateway is compared with other programs, of which `{name}` is missing here. Install it "
            "(Debian and Ubuntu: apt install nginx-light wrk) and run this benchmark again."
        )
    return found


def peer(name: str) -> tuple[str, str]:
    """A command of the peers' environment; by its Python, wherever the environment was made.

    Raises `Missing`.
    """
    try:
        python = install.install_apart("peers")
    except install.Refusal as refusal:
        raise Missing(
            f"The gateway is compared with other programs, of which `{name}` could not be installed "
            f"({refusal}): run this benchmark again once `make peers` succeeds."
        ) from None
    return str(python), str(python.with_name(name))


class Ways:
    """Starts ways to one model; all end with the stack."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack, self._folder = stack, folder

    def nginx_model(self) -> Way:
        """A model that answers at once, whole or streamed, at the speed of C."""
        port = free_port()
        inside = _ANSWERING.format(port=port, whole=WHOLE.decode(), streamed=_STREAMED)
        return self._way("direct", port, self._nginx(f"model-{port}", inside))

    def slow_model(self, *, chunks: int, seconds: float) -> Way:
        """A model that streams a chunk every so many seconds."""
        port = free_port()
        module = ("-m", "tests.benchmarks.data_plane.model")
        return self._way("direct", port, [sys.executable, *module, str(port), str(chunks), str(seconds)])

    def nginx(self, model: Way) -> Way:
        """nginx as a proxy."""
        port = free_port()
        inside = _PASSING.format(port=port, model=model.url.removeprefix("http://"))
        return self._way("nginx", port, self._nginx(f"proxy-{port}", inside))

    def floor(self, model: Way) -> Way:
        """A bare proxy in Python."""
        port = free_port()
        served = ("-m", "uvicorn", "tests.benchmarks.data_plane.floor:proxy", "--port", str(port))
        quiet = ("--no-access-log", "--log-level", "warning")
        return self._way("floor", port, [sys.executable, *served, *quiet], MODEL_URL=model.url)

    def router(self, model: Way) -> Way:
        """vLLM's router, in Rust. It checks no key and counts nothing."""
        port = free_port()
        listening = ("--host", "127.0.0.1", "--port", str(port), "--prometheus-port", str(free_port()))
        return self._way("vllm-router", port, [*peer("vllm-router"), "--worker-urls", model.url, *listening])

    def litellm(self, model: Way, *, cache: bool = False) -> Way:
        """LiteLLM's proxy as it comes, with one worker and a key."""
        port, settings = free_port(), self._folder / f"litellm-{cache}-{model.process.pid}.yaml"
        words = {"name": MODEL, "url": model.url, "key": LITELLM_KEY, "cache": str(cache).lower()}
        settings.write_text(_LITELLM.format(**words))
        command = [*peer("litellm"), "--config", str(settings), "--host", "127.0.0.1", "--port", str(port)]
        return self._way("LiteLLM", port, [*command, "--num_workers", "1"], key=LITELLM_KEY)

    async def gateway(self, model: Way) -> GatewayWay:
        """The gateway as it is served: key, rights, limits, metering and the response cache are on."""
        name = f"gateway-{model.process.pid}"
        return await self.gateway_of(name, deployment(model.url, kind="openai", alias=MODEL))

    async def gateway_of(
        self, name: str, *deployments: dict[str, Any], until: Callable[[Way], None] | None = None
    ) -> GatewayWay:
        """The gateway as it is served, with these deployments; `name` is its folder's."""
        folder, port, tenant = self._folder / name, free_port(), Tenant.new()
        folder.mkdir()
        server = ValkeyServer(folder)
        server.start()
        self._stack.callback(server.stop)
        valkey: Redis = Redis.from_url(server.url)
        publisher = Publisher(valkey)
        await publisher.key(tenant)
        limits = [
            {"kind": "requests_per_minute", "value": 10**9},
            {"kind": "tokens_per_day", "value": 10**12},
        ]
        await publisher.limits(tenant, *(limit | {"scope": "organization"} for limit in limits))
        await publisher.cache(tenant)
        await publisher.project(tenant, *deployments)
        await publisher.ready()
        await valkey.aclose()
        environment = {
            "VALKEY_URL": server.url,
            "API_KEY_PEPPER": PEPPER.hex(),
            "POD_KEY": "pod",
            "SPOOL_DIR": str(folder / "spool"),
        }
        command = [sys.executable, "-m", "inference.gateway", "--port", str(port)]
        way = self._way("gateway", port, command, key=tenant.secret, until=until, **environment)
        return GatewayWay(way.name, way.url, way.key, way.process, server.url)

    def _nginx(self, name: str, inside: str) -> list[str]:
        folder = self._folder / name
        folder.mkdir()
        settings = folder / "nginx.conf"
        settings.write_text(_NGINX.format(folder=folder, inside=inside))
        return [program("nginx"), "-c", str(settings), "-p", str(folder)]

    def _way(
        self,
        name: str,
        port: int,
        command: list[str],
        *,
        key: str = "none",
        until: Callable[[Way], None] | None = None,
        **environment: str,
    ) -> Way:
        process = self._stack.enter_context(running(command, environment))
        way = Way(name, f"http://127.0.0.1:{port}", key, process)
        (until or until_it_answers)(way)
        return way


@contextmanager
def running(command: list[str], environment: dict[str, str]) -> Iterator[psutil.Process]:
    """A process that ends with the block, and so do its children."""
    child = subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    process = psutil.Process(child.pid)
    try:
        yield process
    finally:
        everything = [process, *process.children(recursive=True)]
        for one in everything:
            # Its parent, which was told first, may have ended it.
            with suppress(psutil.NoSuchProcess):
                one.terminate()
        psutil.wait_procs(everything, timeout=10)
        child.wait()


def until_it_answers(way: Way) -> None:
    """Wait until a question is answered. Raises `TimeoutError`."""
    body = orjson.dumps({"model": MODEL, "messages": [{"role": "user", "content": "Are you there?"}]})
    headers = {"content-type": "application/json", "authorization": f"Bearer {way.key}"}
    until_it_says(way.name, urllib.request.Request(way.address, body, headers))


def until_it_says(name: str, asked: urllib.request.Request, word: bytes = b"") -> None:
    """Wait until this is answered well, the word in the answer. Raises `TimeoutError`."""
    until = time.monotonic() + _UP_SECONDS
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                if word in answer.read():
                    return
        except OSError:
            pass
        time.sleep(0.1)
    raise TimeoutError(f"{name} does not answer at {asked.full_url}")
