"""The time that jobs run, counted against their organization's limits."""

from django.db.models import F
from django.db.models.functions import Now

from tenants.limits.refusals import LimitReached
from tenants.limits.services.training import Training, count_training
from training.jobs.models import FineTuningJob

# A runner that is not heard of for longer has lost the job: what it did after that is not the tenant's.
MAX_UNHEARD_SECONDS = 30


def training_of(job: FineTuningJob) -> Training:
    """Whose training it is."""
    return Training(job.project_id, job.created_by_id, job.base_model.name)


def count_time(job: FineTuningJob) -> LimitReached | None:
    """Count what a running job, locked by the caller, has run since its last heartbeat, which is now.

    Answers the fault with which the job must end where that used up a limit.
    """
    rows = FineTuningJob.objects.filter(pk=job.pk, deploying_since=None).exclude(heartbeat_at=None)
    elapsed = rows.annotate(elapsed=Now() - F("heartbeat_at")).values_list("elapsed", flat=True).first()
    if elapsed is None:
        return None
    rows.update(heartbeat_at=Now())
    seconds = round(min(max(0.0, elapsed.total_seconds()), MAX_UNHEARD_SECONDS))
    return count_training(training_of(job), seconds=seconds)


def count_tokens(job: FineTuningJob) -> None:
    """Count what a job that ended well has trained on."""
    count_training(training_of(job), tokens=job.trained_tokens or 0)
