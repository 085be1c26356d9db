"""The states of a job and every way from one to another: the one place that changes `state`."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.functions import Now

from kernel.events.outbox import Happening, emit
from training.jobs import accounting
from training.jobs.models import FineTuningJob, JobEvent, JobState

UPDATED = "training.job.updated.v1"
QUEUED = "training.job.queued.v1"

Jobs = QuerySet[FineTuningJob]

WAYS: dict[JobState, frozenset[JobState]] = {
    JobState.VALIDATING_FILES: frozenset({JobState.QUEUED, JobState.FAILED, JobState.CANCELLED}),
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.FAILED, JobState.CANCELLED}),
    JobState.RUNNING: frozenset({JobState.QUEUED, JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}


class ImpossibleTransition(RuntimeError):
    """A way between states that does not exist: a programming fault."""


@dataclass(frozen=True)
class Fault:
    """Why a job failed, as its `error` tells it: what happened and what to do."""

    code: str
    message: str
    param: str = ""


@dataclass(frozen=True)
class Line:
    """One event of the job's story."""

    message: str
    level: str = "info"
    type: str = "message"
    data: dict[str, Any] = field(default_factory=dict)


def lock(job_id: UUID) -> FineTuningJob:
    """The job's row, locked until the transaction ends. Raises `FineTuningJob.DoesNotExist`."""
    job: FineTuningJob = FineTuningJob.objects.select_for_update().get(pk=job_id)
    return job


def tell(job: FineTuningJob, *lines: Line) -> None:
    """Add events to the job's story, and let its onlookers read it again."""
    JobEvent.objects.bulk_create(
        [
            JobEvent(job=job, level=line.level, type=line.type, message=line.message[:1000], data=line.data)
            for line in lines
        ]
    )
    emit(
        Happening(
            name=UPDATED,
            aggregate_id=job.pk,
            project_id=job.project_id,
            resource="fine_tuning.job",
            resource_id=job.public_id,
            payload={"job_id": str(job.pk), "state": job.state},
        )
    )


def queue(job: FineTuningJob, *lines: Line, after_seconds: float = 0, **changes: Any) -> None:
    """Put the job in the queue (for the first time, or again) and wake the trainers."""
    not_before = Now() + timedelta(seconds=after_seconds) if after_seconds else None
    _move(
        job, JobState.QUEUED, queued_at=Now(), not_before=not_before, lease_until=None, runner="", **changes
    )
    tell(job, *lines)
    announce(job)


def announce(job: FineTuningJob) -> None:
    """Wake the trainers: a queued job waits."""
    note_announced(job)
    emit(Happening(QUEUED, aggregate_id=job.pk, project_id=job.project_id))


def note_announced(job: FineTuningJob) -> None:
    """Somebody was told just now that the job waits."""
    FineTuningJob.objects.filter(pk=job.pk).update(announced_at=Now())


def run(job: FineTuningJob, *lines: Line, **changes: Any) -> None:
    """The job is being run by whoever holds the lease in `changes`."""
    _move(job, JobState.RUNNING, **changes)
    tell(job, *lines)


def succeed(job: FineTuningJob) -> None:
    """The job's model answers."""
    _end(job, JobState.SUCCEEDED)
    accounting.count_tokens(job)
    tell(
        job,
        Line(f"New fine-tuned model created: {job.alias}"),
        Line("The job has successfully completed"),
    )


def fail(job: FineTuningJob, fault: Fault) -> None:
    """The job has failed for good."""
    _end(
        job,
        JobState.FAILED,
        error_code=fault.code,
        error_message=fault.message[:1000],
        error_param=fault.param,
    )
    tell(job, Line(fault.message, level="error", data={"code": fault.code}))


def cancel(job: FineTuningJob) -> None:
    """Somebody does not want it any more."""
    _end(job, JobState.CANCELLED, cancel_requested_at=Now())
    tell(job, Line("The job was cancelled"))


def _end(job: FineTuningJob, to: JobState, **changes: Any) -> None:
    _move(job, to, finished_at=Now(), lease_until=None, estimated_finish=None, **changes)


def _move(job: FineTuningJob, to: JobState, **changes: Any) -> None:
    if to not in WAYS[JobState(job.state)]:
        raise ImpossibleTransition(f"{job.public_id} cannot go from {job.state} to {to.value}.")
    if job.state == JobState.RUNNING:
        # The part of a heartbeat's interval that it ran last.
        accounting.count_time(job)
    FineTuningJob.objects.filter(pk=job.pk).update(state=to, **changes)
    job.refresh_from_db()
