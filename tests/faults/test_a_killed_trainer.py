"""A training worker that is killed in the middle: the job ends succeeded all the same."""

import os
import signal
from typing import Any

import openai
import psutil
import pytest

from tests.e2e import loop

# Enough for a checkpoint and some steps more.
ROWS = 56


@pytest.fixture
def client(stack: Any) -> openai.OpenAI:
    return loop.client_of(stack.demo)


def running(stack: Any, *words: str) -> list[psutil.Process]:
    """The processes under the supervisor whose command line has all these words."""
    children = psutil.Process(stack.pid).children(recursive=True)
    return [child for child in children if set(words) <= set(" ".join(child.cmdline()).split())]


@pytest.mark.slow
def test_a_job_survives_the_kill_of_its_worker(stack: Any, client: openai.OpenAI) -> None:
    file_id = loop.bring(client, "word_problems.jsonl", loop.sample_rows(ROWS))
    job = client.fine_tuning.jobs.create(
        model=loop.BASE, training_file=file_id, seed=3, hyperparameters={"n_epochs": 1}
    )
    loop.eventually(
        lambda: client.fine_tuning.jobs.checkpoints.list(job.id).data, seconds=300, what="a checkpoint"
    )
    workers, recipes = running(stack, "celery", "training"), running(stack, "training.recipes.sft")
    assert workers
    assert recipes
    for worker in workers:
        os.kill(worker.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs([*workers, *recipes], timeout=20)
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
