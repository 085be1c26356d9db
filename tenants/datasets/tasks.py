"""The worker's doors to files."""

from uuid import UUID

from celery import shared_task

from kernel.events.subscribers import Event, subscriber
from tenants.datasets import execution, expiry


@subscriber("tenants.file.uploaded.v1", queue="data", holds_scope=False)
def validate_uploaded_file(event: Event, *, organization_id: UUID) -> None:
    """Validate a file that was just brought."""
    execution.process_file(organization_id, event.aggregate_id)


@subscriber("tenants.file.deleted.v1", queue="data", holds_scope=False)
def remove_deleted_file(event: Event, *, organization_id: UUID) -> None:
    """Remove the bytes of a file that was just deleted."""
    execution.remove_bytes(organization_id, event.aggregate_id)


@shared_task(name="tenants.datasets.tasks.revive_waiting_files")
def revive_waiting_files() -> None:
    """Announce again what was lost."""
    execution.revive_waiting()


@shared_task(name="tenants.datasets.tasks.delete_expired_files")
def delete_expired_files() -> None:
    """Delete files whose time is over."""
    expiry.delete_expired()
