"""How usage records go whose time is over: the totals that counted them stay, and say that they did."""

from collections.abc import Sequence
from datetime import UTC

from inference.usage import totals
from inference.usage.models import UsageRecord
from kernel.ports.retention import retires


@retires(UsageRecord)
def retire_records(records: Sequence[UsageRecord]) -> None:
    """Delete records; the totals of their days can no longer be compared with them, nor made anew."""
    totals.lock()
    for day in sorted({record.started_at.astimezone(UTC).date() for record in records}):
        totals.buckets_of(day).update(records_gone=True)
    UsageRecord.objects.filter(pk__in=[record.pk for record in records]).delete()
