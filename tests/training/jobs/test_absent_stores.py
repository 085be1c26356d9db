"""Stores that go away while a job runs: training goes on, and what it measured is written afterwards."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., int]


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.1)


@pytest.mark.parametrize("store", ["postgres", "s3"])
def test_a_store_that_goes_away_for_seconds_costs_the_job_nothing(
    owner: Any, run_jobs: Run, stores: Any, store: str
) -> None:
    job_id = owner.start()

    ran: list[int] = []
    trainer = threading.Thread(
        target=lambda: ran.append(run_jobs(steps=60, step_seconds=0.1, checkpoint_every=10))
    )
    trainer.start()
    wait_until(lambda: owner.steps(job_id))
    # In this thread, since the supervisor's children live no longer than the thread that starts them.
    stores.stop(store)
    time.sleep(3)
    stores.start(store)
    trainer.join(timeout=60)
    assert ran == [1]
    assert owner.steps(job_id) == list(range(1, 61))
    job = owner.job(job_id)
    assert job.deploying_since is not None
    assert (job.fence, job.attempts) == (1, {})
