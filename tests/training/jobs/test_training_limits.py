"""Training time: a job does not begin without any left, and ends when it uses up what there is."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import openai
import pytest
from django.db.models.functions import Now

from tenants.limits.kinds import Kind, Scope, Subject
from tenants.limits.services import uses
from tenants.limits.services.bounds import set_limit
from training.jobs.execution import leases
from training.jobs.models import JobState

Run = Callable[..., int]
WHOLE = Subject(Scope.ORGANIZATION)
MINUTES = Kind.TRAINING_MINUTES_PER_MONTH


def limit(owner: Any, minutes: int) -> None:
    with leases.acting_for(owner.organization.pk):
        set_limit(WHOLE, MINUTES, minutes)


def seconds_used(owner: Any) -> int:
    with leases.acting_for(owner.organization.pk):
        return uses.used_seconds(WHOLE)


def test_without_time_left_no_job_begins_and_the_caller_is_told_when_there_is(owner: Any) -> None:
    limit(owner, 0)
    with pytest.raises(openai.RateLimitError) as fault:
        owner.start()
    assert fault.value.code == "training_minutes_per_month_reached"
    assert int(fault.value.response.headers["retry-after"]) > 0


def test_a_job_that_uses_up_its_time_while_it_runs_fails_and_says_so(owner: Any) -> None:
    limit(owner, 1)
    job_id = owner.start()
    lease = leases.claim()
    assert lease is not None
    for _ in range(2):
        owner.change(job_id, heartbeat_at=Now() - timedelta(seconds=29))
        assert leases.renew(lease)
    owner.change(job_id, heartbeat_at=Now() - timedelta(seconds=29))
    assert not leases.renew(lease)
    job = owner.job(job_id)
    assert (job.state, job.error_code) == (JobState.FAILED, "training_minutes_per_month_reached")
    assert "1 of 1 are used" in job.error_message


def test_the_time_of_a_runner_that_was_lost_is_not_the_tenants(owner: Any) -> None:
    job_id = owner.start()
    lease = leases.claim()
    assert lease is not None
    owner.change(job_id, heartbeat_at=Now() - timedelta(hours=3))
    leases.renew(lease)
    assert seconds_used(owner) <= 31


def test_a_job_that_ends_well_is_counted_once(owner: Any, run_jobs: Run) -> None:
    owner.start()
    run_jobs(steps=2)
    assert seconds_used(owner) <= 30
