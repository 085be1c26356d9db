"""A pod's processes: none outlives it, a lost client frees its place, a lost instance comes back."""

import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.inference.engine.pods import KEY, RunningPod, command, free_port, running_pod, wait_until

# They start processes of their own.
pytestmark = pytest.mark.services

LONG = {"inputs": "Once upon a time", "parameters": {"max_new_tokens": 4000}}


def test_a_killed_pod_leaves_no_child(model_dir: Path, tmp_path: Path) -> None:
    with running_pod(model_dir, tmp_path / "state") as pod:
        pod.generate("a", max_new_tokens=1)
        children = pod.children()
        assert children
        pod.process.kill()
        pod.process.wait()
        wait_until(lambda: not any(child.is_running() and _alive(child) for child in children), seconds=5)


def _alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_pod_told_to_stop_finishes_what_it_began(model_dir: Path, tmp_path: Path) -> None:
    with running_pod(model_dir, tmp_path / "state") as pod:
        pod.generate("a", max_new_tokens=1)
        children = pod.children()
        body = {"inputs": "Once upon a time", "parameters": {"max_new_tokens": 60}}
        with pod.client.stream("POST", "/generate_stream", json=body) as answer:
            lines = answer.iter_lines()
            next(lines)
            pod.process.terminate()
            text = "".join(lines)
        assert '"finish_reason"' in text
        assert pod.process.wait(10) in (0, -signal.SIGTERM)
        assert not any(child.is_running() and _alive(child) for child in children)


def test_a_client_that_leaves_frees_its_place_within_a_second(pod: RunningPod) -> None:
    with pod.client.stream("POST", "/generate_stream", json=LONG) as answer:
        lines = answer.iter_lines()
        next(lines)
        assert pod.gauge("tgi_batch_current_size") == 1
    wait_until(lambda: pod.gauge("tgi_batch_current_size") == 0, seconds=1)
    (instance,) = pod.children()
    wait_until(lambda: instance.cpu_percent(0.2) < 20, seconds=3)


def test_a_killed_instance_is_an_error_event_and_is_started_again(pod: RunningPod) -> None:
    with pod.client.stream("POST", "/generate_stream", json=LONG) as answer:
        lines = answer.iter_lines()
        next(lines)
        os.kill(pod.children()[0].pid, signal.SIGKILL)
        last = [line for line in lines if line][-1]
    assert '"error_type":"incomplete_generation"' in last
    assert pod.generate("a", max_new_tokens=2)["generated_text"]


def test_a_pod_with_all_places_taken_says_overloaded(model_dir: Path, tmp_path: Path) -> None:
    with running_pod(model_dir, tmp_path / "state", "--max-concurrent-requests", "1") as pod:
        with pod.client.stream("POST", "/generate_stream", json=LONG) as answer:
            lines = answer.iter_lines()
            next(lines)
            status, message = pod.refused("a")
            (event,) = pod.stream("a")
        assert (status, message) == (429, "Model is overloaded")
        assert event["error_type"] == "overloaded"


@pytest.mark.parametrize("fault", ["no key", "no model", "damaged", "port taken"])
def test_a_pod_that_cannot_start_says_why_in_one_sentence(
    pod: RunningPod, tmp_path: Path, fault: str
) -> None:
    folder = tmp_path / "model"
    words = {
        "no key": "POD_KEY",
        "no model": "does not exist",
        "damaged": "is damaged",
        "port taken": "in use",
    }
    if fault == "damaged":
        folder.mkdir()
        (folder / "manifest.json").write_text("{")
    port = int(pod.url.rsplit(":", 1)[1]) if fault == "port taken" else free_port()
    environment = {name: value for name, value in os.environ.items() if name != "POD_KEY"}
    if fault != "no key":
        environment["POD_KEY"] = KEY
    done = subprocess.run(
        command(folder, tmp_path / "state", port), env=environment, capture_output=True, check=False
    )
    assert done.returncode == 1
    assert words[fault] in done.stderr.decode()
    assert len(done.stderr.decode().strip().splitlines()) == 1
