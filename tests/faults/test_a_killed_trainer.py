"""A training worker that is killed in the middle: the job ends succeeded all the same."""

import os
import signal
from typing import Any

import openai
import psutil
import pytest

from tests.e2e import loop


@pytest.fixture
def client(stack: Any) -> openai.OpenAI:
    return loop.client_of(stack.demo)


def trainers(stack: Any) -> list[psutil.Process]:
    """The training worker's processes under the supervisor, and the recipe below them."""
    found = []
    for process in psutil.Process(stack.pid).children(recursive=True):
        words = " ".join(process.cmdline())
        if "training" in words and ("celery" in words or "recipes" in words):
            found.append(process)
    return found


def test_a_job_survives_the_kill_of_its_worker(stack: Any, client: openai.OpenAI) -> None:
    file_id = loop.bring(
        client, "word_problems.jsonl", b"".join(loop.sample_rows().splitlines(keepends=True)[:160])
    )
    job = client.fine_tuning.jobs.create(
        model=loop.BASE, training_file=file_id, seed=3, hyperparameters={"n_epochs": 1}
    )
    loop.eventually(
        lambda: client.fine_tuning.jobs.checkpoints.list(job.id).data, seconds=300, what="a checkpoint"
    )
    victims = trainers(stack)
    assert len(victims) >= 2
    for victim in victims:
        if "celery" in " ".join(victim.cmdline()):
            os.kill(victim.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(victims, timeout=20)
    assert alive == [], "the recipe outlived its worker"

    ended = loop.wait_for(client, job.id)
    assert ended.status == "succeeded", ended.error
    steps = [
        event.data["step"]
        for event in client.fine_tuning.jobs.list_events(job.id, limit=100)
        if event.type == "metrics" and isinstance(event.data, dict)
    ]
    assert len(steps) == len(set(steps)), "a step was told twice"
    assert loop.ask(client, ended.fine_tuned_model, "2 + 2?").choices[0].message.content
