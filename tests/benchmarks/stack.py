"""What the whole stack costs: its start, its memory, and what the gateway adds to the engine.

Clones the last commit into an empty folder and does what the README says there, so that the first
start includes everything but the downloads. `python -m tests.benchmarks.stack`.
"""

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.benchmarks.figures import REPOSITORY, Figure, against, at_most, keep

FIRST_START_SECONDS = 180.0
LATER_START_SECONDS = 15.0
IDLE_MEGABYTES = 2048.0
START_PATIENCE_SECONDS = 900.0
SETTLE_SECONDS = 20.0
ROUNDS = 7
TOKENS = 96
QUESTION = "Explain in plain words how a loom weaves cloth."
PROMPT = f"<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n"


@dataclass(frozen=True)
class Running:
    """A started platform."""

    home: Path
    seconds: float
    process: psutil.Process
    demo: dict[str, str]

    @property
    def pod_url(self) -> str:
        """The pod listens on the port after the web's."""
        address = httpx.URL(self.demo["url"])
        return f"http://127.0.0.1:{(address.port or 80) + 1}"

    @property
    def pod_key(self) -> str:
        return (self.home / "secrets" / "pod_key").read_text().strip()


@dataclass(frozen=True)
class Streamed:
    """One streamed answer."""

    first_token_ms: float
    tokens_per_second: float


@contextmanager
def running(clone: Path) -> Iterator[Running]:
    """`make up` in the clone until it says that it is ready; `make down` afterwards."""
    home = clone / "var"
    log = clone / "up.log"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("LOOMWORKS_")}
    began = time.perf_counter()
    with log.open("wb") as output:
        make = psutil.Popen(
            ["make", "up"],
            cwd=clone,
            env={**environment, "LOOMWORKS_PORT": "0"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        while "Loomworks is ready" not in log.read_text():
            if make.poll() is not None or time.perf_counter() - began > START_PATIENCE_SECONDS:
                raise RuntimeError(f"make up did not get ready:\n{log.read_text()}")
            time.sleep(0.1)
        seconds = time.perf_counter() - began
        demo = json.loads((home / "demo.json").read_text())
        yield Running(home, seconds, psutil.Process(make.pid), demo)
    finally:
        subprocess.run(["make", "down"], cwd=clone, env=environment, check=True, capture_output=True)
        make.wait(60)


def idle_megabytes(platform: Running) -> float:
    """Proportional set size of everything that was started, in MB."""
    processes = [platform.process, *platform.process.children(recursive=True)]
    return sum(process.memory_full_info().pss for process in processes) / 1e6


def torch_importers(platform: Running) -> list[str]:
    """Processes other than pods and recipes that have torch loaded; there must be none."""
    found = []
    for process in platform.process.children(recursive=True):
        words = " ".join(process.cmdline())
        maps = Path(f"/proc/{process.pid}/maps").read_text()
        if "libtorch" in maps and "training.recipes" not in words:
            found.append(words)
    return found


def through_gateway(client: httpx.Client, platform: Running) -> Streamed:
    """One greedy streamed answer of the base model, over the API."""
    body = {
        "model": "smollm2-135m-instruct",
        "messages": [{"role": "user", "content": QUESTION}],
        "temperature": 0,
        "max_tokens": TOKENS,
        "stream": True,
    }
    return _stream(client, f"{platform.demo['url']}/v1/chat/completions", body, generated(platform))


def generated(platform: Running) -> dict[str, str]:
    """Headers of a caller whose answers are always generated: a kept one tells nothing of the way to it."""
    return {"Authorization": f"Bearer {platform.demo['api_key']}", "x-loomworks-cache": "bypass"}


def directly(client: httpx.Client, platform: Running) -> Streamed:
    """The same answer, from the pod."""
    body = {"inputs": PROMPT, "parameters": {"max_new_tokens": TOKENS}}
    headers = {"Authorization": f"Bearer {platform.pod_key}"}
    return _stream(client, f"{platform.pod_url}/generate_stream", body, headers)


def _stream(client: httpx.Client, url: str, body: dict[str, Any], headers: dict[str, str]) -> Streamed:
    began = time.perf_counter()
    times: list[float] = []
    with client.stream("POST", url, json=body, headers=headers) as response:
        response.raise_for_status()
        for line in response.iter_lines():
            if line.startswith("data:") and _has_text(line[5:].strip()):
                times.append(time.perf_counter())
    rate = (len(times) - 1) / (times[-1] - times[0])
    return Streamed((times[0] - began) * 1000, rate)


def _has_text(payload: str) -> bool:
    if payload == "[DONE]":
        return False
    event = json.loads(payload)
    if "token" in event:
        return bool(event["token"]["text"])
    return bool(event.get("choices") and event["choices"][0]["delta"].get("content"))


def web_cpu_ms_per_request(client: httpx.Client, platform: Running, requests: int = 60) -> float:
    """CPU time that the web process spends on one short completion, in ms."""
    web = next(p for p in platform.process.children(recursive=True) if "uvicorn" in " ".join(p.cmdline()))
    body = {
        "model": "smollm2-135m-instruct",
        "messages": [{"role": "user", "content": "Hi"}],
        "temperature": 0,
        "max_tokens": 1,
    }
    headers = generated(platform)
    before = web.cpu_times()
    for _ in range(requests):
        client.post(
            f"{platform.demo['url']}/v1/chat/completions", json=body, headers=headers
        ).raise_for_status()
    after = web.cpu_times()
    return (after.user + after.system - before.user - before.system) / requests * 1000


def measure_serving(platform: Running) -> list[Figure]:
    """Gateway against engine, in turn, medians."""
    with httpx.Client(timeout=120) as client:
        through_gateway(client, platform), directly(client, platform)
        pairs = [(through_gateway(client, platform), directly(client, platform)) for _ in range(ROUNDS)]
        cpu = web_cpu_ms_per_request(client, platform)
    ours, engine = zip(*pairs, strict=True)
    return [
        against(
            "time to first token through the gateway",
            statistics.median(s.first_token_ms for s in ours),
            "ms",
            peer="engine directly",
            peer_value=statistics.median(s.first_token_ms for s in engine),
        ),
        against(
            "tokens per second through the gateway",
            statistics.median(s.tokens_per_second for s in ours),
            "tokens/s",
            peer="engine directly",
            peer_value=statistics.median(s.tokens_per_second for s in engine),
        ),
        Figure("CPU of the web process per completion", cpu, "ms"),
    ]


def main() -> list[Figure]:
    """Measure, keep and return the figures."""
    with tempfile.TemporaryDirectory(prefix="loomworks-bench-") as folder:
        clone = Path(folder) / "loomworks"
        subprocess.run(["git", "clone", "-q", str(REPOSITORY), str(clone)], check=True)
        with running(clone) as first:
            first_seconds = first.seconds
        with running(clone) as later:
            time.sleep(SETTLE_SECONDS)
            memory, importers = idle_megabytes(later), torch_importers(later)
            serving = measure_serving(later)
            later_seconds = later.seconds
    figures = [
        at_most("make up, first, from an empty clone", first_seconds, "s", FIRST_START_SECONDS),
        at_most("make up, later", later_seconds, "s", LATER_START_SECONDS),
        at_most("idle memory of the whole stack", memory, "MB", IDLE_MEGABYTES),
        at_most("processes with torch loaded while idle", len(importers), "processes", 0),
        *serving,
    ]
    keep("stack", figures)
    return figures


if __name__ == "__main__":
    main()
