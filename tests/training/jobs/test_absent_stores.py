"""Stores that go away while a job runs: training goes on, and what it measured is written afterwards."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., int]


@pytest.mark.parametrize("store", ["postgres", "s3"])
def test_a_store_that_goes_away_for_seconds_costs_the_job_nothing(
    owner: Any, run_jobs: Run, stores: Any, store: str
) -> None:
    job_id = owner.start()

    def break_and_mend() -> None:
        time.sleep(2)
        stores.stop(store)
        time.sleep(3)
        stores.start(store)

    saboteur = threading.Thread(target=break_and_mend)
    saboteur.start()
    assert run_jobs(steps=60, step_seconds=0.1, checkpoint_every=10) == 1
    saboteur.join()
    assert owner.steps(job_id) == list(range(1, 61))
    job = owner.job(job_id)
    assert job.deploying_since is not None
    assert (job.fence, job.attempts) == (1, {})
