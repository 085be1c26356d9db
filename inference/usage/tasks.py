"""The worker's doors to usage."""

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from inference.usage import counters, execution, reconciliation


@shared_task(name="inference.usage.tasks.drain")
def drain() -> None:
    """Move usage from the stream to the database."""
    execution.drain()


@shared_task(name="inference.usage.tasks.make_partitions")
def make_partitions() -> None:
    """Make the months' partitions before they are needed."""
    execution.make_partitions()


@shared_task(name="inference.usage.tasks.reconcile")
def reconcile() -> None:
    """Compare records, totals and charges of this month and the one before."""
    this = timezone.now().date().replace(day=1)
    for month in ((this - timedelta(days=1)).replace(day=1), this):
        reconciliation.reconcile_everywhere(month)


@shared_task(name="inference.usage.tasks.compare_counters")
def compare_counters() -> None:
    """Compare what model servers say that they generated with the records."""
    counters.compare()
