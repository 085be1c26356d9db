"""The worker's doors to jobs: wake-ups of trainers, news of files and deployments, and the schedule."""

from uuid import UUID

from celery import shared_task

from kernel.events.subscribers import Event, subscriber
from training.jobs import services, trainer
from training.jobs.execution import reaping, runner

trainer.attend()


@subscriber("training.job.queued.v1", queue="training", holds_scope=False)
def wake_trainer(event: Event, *, organization_id: UUID) -> None:
    """Run whatever waits. The event is only a wake-up: which job runs is PostgreSQL's to say."""
    runner.run_waiting_jobs()


@subscriber("tenants.file.validated.v1", "tenants.file.deleted.v1")
def notice_file(event: Event) -> None:
    """A file was validated or deleted: jobs that wait for it go on."""
    services.file_concluded(event.aggregate_id)


@subscriber("inference.deployment.ready.v1")
def notice_deployment_ready(event: Event) -> None:
    """A model answers: its job has succeeded."""
    if model_version_id := event.payload.get("model_version_id"):
        services.model_answers(UUID(model_version_id))


@subscriber("inference.deployment.failed.v1")
def notice_deployment_failed(event: Event) -> None:
    """A model could not be deployed: its job has failed."""
    if model_version_id := event.payload.get("model_version_id"):
        reason = event.payload.get("error") or event.payload.get("reason") or "its deployment failed."
        services.deployment_failed(UUID(model_version_id), str(reason))


@shared_task(name="training.jobs.tasks.reap_lost_leases")
def reap_lost_leases() -> None:
    """Take up lost jobs and tell again what was not heard."""
    reaping.reap()
