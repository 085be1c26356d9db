"""Leases: who runs a job, until when, and under which number. The only crossing of tenants in this room."""

import os
import socket
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Now

from kernel.tenancy.scope import across_tenants, acting_for
from training.jobs import accounting, states
from training.jobs.errors import LeaseLost
from training.jobs.models import FineTuningJob, JobState
from training.jobs.states import Fault, Line

LEASE_SECONDS = 30
HEARTBEAT_SECONDS = 10
SWEEP = 100
_RUN = Q(state=JobState.RUNNING, deploying_since=None)


@dataclass(frozen=True)
class Lease:
    """The right to run a job. Every write names its number and is refused when a newer one was given."""

    job_id: UUID
    organization_id: UUID
    fence: int


@dataclass(frozen=True)
class Place:
    """Where a job is: enough to open its organization's scope and lock it."""

    job_id: UUID
    organization_id: UUID


def runner_name() -> str:
    """This machine and process, for people who look."""
    return f"{socket.gethostname()}:{os.getpid()}"[:200]


def claim() -> Lease | None:
    """Take the queued job that has waited longest, of whichever organization; None when there is none.

    Several runners may ask at once: each row goes to one of them.
    """
    with across_tenants():
        job: FineTuningJob | None = (
            FineTuningJob.objects.select_for_update(skip_locked=True)
            .filter(state=JobState.QUEUED)
            .filter(Q(not_before=None) | Q(not_before__lte=Now()))
            .order_by("pk")
            .first()
        )
        if job is None:
            return None
        lease = Lease(job.pk, job.organization_id, job.fence + 1)
        with acting_for(job.organization_id):
            states.run(
                job,
                Line("Fine-tuning job started" if job.started_at is None else "Fine-tuning job resumed"),
                fence=lease.fence,
                lease_until=Now() + timedelta(seconds=LEASE_SECONDS),
                heartbeat_at=Now(),
                runner=runner_name(),
                started_at=job.started_at or Now(),
            )
    return lease


def hold(lease: Lease) -> FineTuningJob:
    """The job's row, locked, inside the organization's scope. Raises `LeaseLost` unless it is still ours."""
    job: FineTuningJob | None = _ours(lease).select_for_update().first()
    if job is None:
        raise LeaseLost
    return job


def renew(lease: Lease) -> bool:
    """Go on holding the job for `LEASE_SECONDS` from now; False when it is not ours any more.

    The time since the last heartbeat is counted; a job that uses up a limit with it fails here.
    """
    with acting_for(lease.organization_id):
        job = _ours(lease).select_for_update(of=("self",)).select_related("base_model").first()
        if job is None:
            return False
        if (limit := accounting.count_time(job)) is not None:
            states.fail(job, Fault(limit.code, limit.message))
            return False
        _ours(lease).update(lease_until=Now() + timedelta(seconds=LEASE_SECONDS))
        return True


def is_held(lease: Lease) -> bool:
    """Whether the job is still ours."""
    with acting_for(lease.organization_id):
        return bool(_ours(lease).exists())


def lost() -> list[Place]:
    """Running jobs whose runner has not been heard of."""
    return _places(_RUN & Q(lease_until__lt=Now()))


def has_lapsed(job: FineTuningJob) -> bool:
    """Whether a job, locked by the caller, is run by nobody though it should be."""
    lapsed = _RUN & Q(lease_until__lt=Now())
    return bool(FineTuningJob.objects.filter(lapsed, pk=job.pk).exists())


def unannounced(age: timedelta) -> list[Place]:
    """Queued jobs that nobody was told of for so long; a few, since one wake-up empties the queue."""
    due = Q(not_before=None) | Q(not_before__lte=Now())
    return _places(due & Q(state=JobState.QUEUED, announced_at__lt=Now() - age))[:5]


def waiting_for_files(age: timedelta) -> list[Place]:
    """Jobs that have waited so long for their files: the news of them may have been lost."""
    return _places(Q(state=JobState.VALIDATING_FILES, created_at__lt=Now() - age))


def waiting_for_deployment(age: timedelta) -> list[Place]:
    """Jobs whose model nobody was told of for so long, and does not answer yet."""
    told = Q(announced_at__lt=Now() - age)
    return _places(told & Q(state=JobState.RUNNING, deploying_since__lt=Now() - age))


def _ours(lease: Lease) -> states.Jobs:
    jobs: states.Jobs = FineTuningJob.objects.filter(_RUN, pk=lease.job_id, fence=lease.fence)
    return jobs


def _places(which: Q) -> list[Place]:
    with across_tenants():
        found = FineTuningJob.objects.filter(which).order_by("pk").values_list("pk", "organization_id")
        return [Place(*row) for row in found[:SWEEP]]
