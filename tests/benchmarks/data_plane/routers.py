"""The ways to several pods that are compared: the gateway, smg, and nginx taking turns."""

import sys
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson
import psutil

from tests.benchmarks.data_plane.peers import GatewayWay, Way, Ways, peer, program, running, until_it_says
from tests.benchmarks.virtual_pods import Conversation, conversations
from tests.inference.gateway.house import deployment, free_port

_CONTEXT_TOKENS = 131_072
# smg's periods that bear on its choices, in seconds, as it has them by default.
_SMG_PERIODS = {
    "--load-monitor-interval": 10,
    "--worker-warmup-secs": 60,
    "--cache-ttl-secs": 180,
    "--eviction-interval-secs": 60,
}
_IN_TURN = """
upstream pods {{ {servers} keepalive 128; keepalive_requests 100000000; }}
server {{
    listen 127.0.0.1:{port} backlog=1024; client_max_body_size 0; client_body_buffer_size 1m;
    location / {{
        proxy_pass http://pods; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }}
}}
"""


@dataclass(frozen=True)
class Trace:
    """Conversations that begin within some seconds of the pods' time; `pace` of those pass in one."""

    seed: int
    seconds: float
    a_second: float
    pace: float

    def script(self) -> list[Conversation]:
        """The conversations, the same for whoever asks."""
        return conversations(seconds=self.seconds, a_second=self.a_second, seed=self.seed)


@dataclass(frozen=True)
class ServedPods:
    """Pods under way: where each is asked, and the process that serves them all."""

    urls: Sequence[str]
    process: psutil.Process

    def told(self, name: str) -> list[float]:
        """One thing that each pod tells in its metrics."""
        found = []
        for url in self.urls:
            with urllib.request.urlopen(f"{url}/metrics") as answer:
                lines = answer.read().decode().splitlines()
            found += [float(line.split()[-1]) for line in lines if line.startswith(f"{name} ")]
        return found


def needed() -> None:
    """See to the programs. Raises `Missing`."""
    program("nginx")
    peer("smg")


class PodWays(Ways):
    """Starts pods and ways to them; all end with the stack."""

    def pods(self, trace: Trace, count: int) -> ServedPods:
        """So many pods that know the trace, their caches empty."""
        ports = [free_port() for _ in range(count)]
        words = (trace.pace, trace.seconds, trace.a_second, trace.seed, *ports)
        command = [sys.executable, "-m", "tests.benchmarks.data_plane.pods", *map(str, words)]
        process = self._stack.enter_context(running(command, {}))
        pods = ServedPods([f"http://127.0.0.1:{port}" for port in ports], process)
        for url in pods.urls:
            until_it_says("a pod", urllib.request.Request(f"{url}/health"))
        return pods

    async def gateway_over(self, pods: ServedPods, trace: Trace) -> GatewayWay:
        """The gateway, each adapter a deployment of the tenant's on all the pods."""
        adapters = sorted({turn.adapter for one in trace.script() for turn in one.turns})
        found = [
            deployment(*pods.urls, kind="openai", alias=name, adapter_id=name, context_tokens=_CONTEXT_TOKENS)
            for name in adapters
        ]
        return await self.gateway_of("gateway", *found, until=_until("/readyz"))

    def smg(self, pods: ServedPods, trace: Trace) -> Way:
        """smg with its policy `cache_aware` and its defaults; its periods pass as fast as the pods' time.

        It takes whole seconds: they are rounded down, so that it looks rather more often.
        """
        port = free_port()
        listening = ("--host", "127.0.0.1", "--port", str(port), "--prometheus-port", str(free_port()))
        periods = [
            word
            for name, most in _SMG_PERIODS.items()
            for word in (name, str(max(1, int(most / trace.pace))))
        ]
        command = [*peer("smg"), "launch", "--worker-urls", *pods.urls, *listening, *periods]
        ready = _until("/readiness", orjson.dumps({"healthy_workers": len(pods.urls)})[1:-1])
        return self._way("smg", port, [*command, "--policy", "cache_aware"], until=ready)

    def in_turn(self, pods: ServedPods) -> Way:
        """nginx, which gives each pod a request in its turn."""
        port = free_port()
        servers = " ".join(f"server {url.removeprefix('http://')};" for url in pods.urls)
        inside = _IN_TURN.format(servers=servers, port=port)
        return self._way("round robin", port, self._nginx("in-turn", inside), until=_until("/health"))


def _until(path: str, word: bytes = b"") -> Callable[[Way], None]:
    """Wait until a way says this of itself; it is asked nothing that a pod would have to read."""
    return lambda way: until_it_says(way.name, urllib.request.Request(way.url + path), word)
