"""Trainers that die, freeze or are told to stop, as processes of their own; and jobs cancelled under them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from training.jobs.execution import reaping
from training.jobs.models import JobState

SCRIPT = Path(__file__).with_name("runner_process.py")
REPOSITORY = Path(__file__).parents[3]
LEASE_SECONDS = 3

Trainer = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def trainer(owner: Any) -> Iterator[Trainer]:
    """Start a trainer that runs what waits with the scripted recipe; killed at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start(**options: Any) -> "subprocess.Popen[bytes]":
        command = [sys.executable, str(SCRIPT), str(LEASE_SECONDS), *owner.command(**options)]
        path = os.pathsep.join([str(REPOSITORY / "platform"), str(REPOSITORY)])
        popen = subprocess.Popen(
            command, cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.DEVNULL
        )
        started.append(popen)
        return popen

    yield start
    for popen in started:
        popen.kill()
        popen.wait()


def wait_until(condition: Callable[[], object], *, at_most_seconds: float = 30) -> None:
    deadline = time.monotonic() + at_most_seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)


def test_a_trainer_killed_in_the_middle_loses_no_job(owner: Any, trainer: Trainer) -> None:
    job_id = owner.start()
    first = trainer(steps=60, step_seconds=0.1, checkpoint_every=10)
    wait_until(lambda: owner.checkpoints(job_id))
    [recipe] = psutil.Process(first.pid).children()
    first.kill()
    first.wait()
    wait_until(lambda: not recipe.is_running() or recipe.status() == psutil.STATUS_ZOMBIE, at_most_seconds=5)

    killed_at = time.monotonic()
    wait_until(reaping.reap)
    assert owner.job(job_id).state == JobState.QUEUED
    assert "The trainer that ran the job was lost. The job goes on from step" in "\n".join(
        owner.story(job_id)
    )
    trainer(steps=60, step_seconds=0.01, checkpoint_every=10)
    wait_until(lambda: owner.job(job_id).deploying_since)
    assert time.monotonic() - killed_at < 60
    assert owner.steps(job_id) == list(range(1, 61))
    owner.deploy(job_id)
    assert owner.client().fine_tuning.jobs.retrieve(job_id).status == "succeeded"


def test_a_frozen_trainer_that_wakes_up_too_late_is_refused(owner: Any, trainer: Trainer) -> None:
    job_id = owner.start()
    frozen = trainer(steps=2000, step_seconds=0.05, checkpoint_every=1000)
    wait_until(lambda: owner.steps(job_id))
    [recipe] = psutil.Process(frozen.pid).children()
    frozen.send_signal(signal.SIGSTOP)
    wait_until(reaping.reap)
    other = trainer(steps=5)
    wait_until(lambda: owner.job(job_id).deploying_since)
    frozen.send_signal(signal.SIGCONT)
    assert frozen.wait(timeout=30) == 0
    assert other.wait(timeout=30) == 0
    assert not recipe.is_running()
    assert owner.job(job_id).fence == 2
    assert owner.client().fine_tuning.jobs.retrieve(job_id).status == "running"
    assert owner.get("/api/v1/model-versions").json()["data"][0]["metrics"]["steps"] == 5


def test_a_trainer_told_to_stop_hands_its_job_back_at_once(owner: Any, trainer: Trainer) -> None:
    job_id = owner.start()
    stopped = trainer(steps=2000, step_seconds=0.02, checkpoint_every=1000)
    wait_until(lambda: owner.steps(job_id))
    stopped.send_signal(signal.SIGTERM)
    assert stopped.wait(timeout=10) == 0
    job = owner.job(job_id)
    assert (job.state, job.attempts) == (JobState.QUEUED, {})
    assert len(owner.checkpoints(job_id)) == 1


def test_a_job_cancelled_while_it_runs_stops_within_seconds(owner: Any, trainer: Trainer) -> None:
    job_id = owner.start()
    running = trainer(steps=2000, step_seconds=0.05, checkpoint_every=1000)
    wait_until(lambda: owner.steps(job_id))
    [recipe] = psutil.Process(running.pid).children()
    assert owner.client().fine_tuning.jobs.cancel(job_id).status == "cancelled"
    wait_until(lambda: not recipe.is_running(), at_most_seconds=5)
    assert running.wait(timeout=10) == 0
    written = owner.steps(job_id)
    assert owner.job(job_id).state == JobState.CANCELLED
    assert len(written) < 200
    assert owner.get("/api/v1/model-versions").json()["data"] == []
