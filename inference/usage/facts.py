"""What usage can tell of the deployment: that requests are recorded."""

from datetime import timedelta

from django.utils import timezone

from inference.usage.models import UsageRecord
from kernel.ports.evidence import Fact, tells

MONTH = timedelta(days=30)


@tells("requests")
def requests() -> Fact:
    """The record of each request that reached a model."""
    recent = UsageRecord.objects.filter(started_at__gte=timezone.now() - MONTH)
    count, unnamed = recent.count(), recent.filter(digest="").count()
    return Fact(
        title="Requests to models recorded in the last 30 days, and those that name no model's hash",
        value=f"{count}, {unnamed}",
        met=not unnamed if count else None,
        how="usage records: one for each request, with time, caller, model and the hash of what answered",
    )
