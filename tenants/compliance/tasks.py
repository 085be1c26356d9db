"""The worker's doors to compliance."""

from uuid import UUID

from celery import shared_task

from kernel.events.subscribers import Event, subscriber
from tenants.compliance import work
from tenants.compliance.execution import erasing, exporting, retaining
from tenants.compliance.models import ErasureRequest, Export


@subscriber(Export.EVENT, queue="data", holds_scope=False)
def run_export(event: Event, *, organization_id: UUID) -> None:
    """Make an export that was asked for."""
    exporting.run_export(organization_id, event.aggregate_id)


@subscriber(ErasureRequest.EVENT, queue="data", holds_scope=False)
def advance_erasure(event: Event, *, organization_id: UUID) -> None:
    """Find what a request means, or erase it."""
    erasing.advance(organization_id, event.aggregate_id)


@shared_task(name="tenants.compliance.tasks.revive_work")
def revive_work() -> None:
    """Announce again what nobody does."""
    work.revive()


@shared_task(name="tenants.compliance.tasks.enforce_retention")
def enforce_retention() -> None:
    """Remove what has been kept for long enough."""
    retaining.enforce_everywhere()
