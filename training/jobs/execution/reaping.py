"""What the schedule does for jobs: take up what was lost, tell again what was not heard."""

from collections.abc import Callable
from datetime import timedelta

from kernel.tenancy.scope import acting_for
from training.jobs import states, validation
from training.jobs.execution import leases, setbacks
from training.jobs.execution.leases import Place
from training.jobs.execution.setbacks import Setback
from training.jobs.models import FineTuningJob, JobState
from training.registry.services import announce as announce_model_version

UNHEARD_AGE = timedelta(seconds=60)
UNDEPLOYED_AGE = timedelta(seconds=120)


def reap() -> int:
    """Look after every job that nobody looks after; returns how many were touched. Safe to run twice."""
    work: list[tuple[list[Place], Callable[[FineTuningJob], bool]]] = [
        (leases.lost(), _put_back_lost),
        (leases.unannounced(UNHEARD_AGE), _announce_again),
        (leases.waiting_for_files(UNHEARD_AGE), _look_at_files_again),
        (leases.waiting_for_deployment(UNDEPLOYED_AGE), _announce_model_again),
    ]
    return sum(_on(place, act) for places, act in work for place in places)


def _on(place: Place, act: Callable[[FineTuningJob], bool]) -> bool:
    with acting_for(place.organization_id):
        return act(states.lock(place.job_id))


def _put_back_lost(job: FineTuningJob) -> bool:
    # Looked at again under the lock: a late heartbeat may have come first.
    if not leases.has_lapsed(job):
        return False
    setbacks.put_back(job, Setback("lease_lost", "The trainer that ran the job was lost."))
    return True


def _announce_again(job: FineTuningJob) -> bool:
    if job.state != JobState.QUEUED:
        return False
    states.announce(job)
    return True


def _look_at_files_again(job: FineTuningJob) -> bool:
    validation.advance(job)
    return job.state != JobState.VALIDATING_FILES


def _announce_model_again(job: FineTuningJob) -> bool:
    if job.state != JobState.RUNNING or job.model_version is None:
        return False
    states.note_announced(job)
    announce_model_version(job.model_version)
    return True
