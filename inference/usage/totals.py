"""The totals behind every usage and cost query: written with the records that they count."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Aggregate, Count, Q, QuerySet, Sum
from django.db.models.functions import TruncMinute

from inference.usage import cells
from inference.usage.cells import Cell, Sums
from inference.usage.charges import makers_of
from inference.usage.models import Grain, UsageBucket, UsageRecord
from kernel.tenancy.scope import current_organization_id

LOCK = 7_203_117
DAY = timedelta(days=1)

_ADD = """
INSERT INTO usage_usagebucket AS held (
    id, organization_id, grain, start, family, project_id, key_id, user_id, model, batch,
    requests, prompt_tokens, cached_prompt_tokens, completion_tokens, cost_microunits)
SELECT * FROM unnest(
    %s::uuid[], %s::uuid[], %s::text[], %s::timestamptz[], %s::text[], %s::uuid[], %s::uuid[], %s::uuid[],
    %s::text[], %s::boolean[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
ON CONFLICT (grain, id) DO UPDATE SET
    requests = held.requests + EXCLUDED.requests,
    prompt_tokens = held.prompt_tokens + EXCLUDED.prompt_tokens,
    cached_prompt_tokens = held.cached_prompt_tokens + EXCLUDED.cached_prompt_tokens,
    completion_tokens = held.completion_tokens + EXCLUDED.completion_tokens,
    cost_microunits = held.cost_microunits + EXCLUDED.cost_microunits
"""
# In the order of `Sums`.
SUMS_OF_RECORDS: dict[str, Aggregate] = {
    "requests": Count("pk"),
    "prompt": Sum("prompt_tokens"),
    "cached": Sum("prompt_tokens", filter=Q(cache=cells.HIT), default=0),
    "completion": Sum("completion_tokens"),
    "cost": Sum("cost_microunits", default=0),
}
Row = tuple[Any, ...]


def lock() -> None:
    """Keep everybody else from writing records and totals of the current organization until the end of the
    transaction: two drains may hold the same entries, and each is to be counted once.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [LOCK, str(current_organization_id())]
        )


def add(totals: Mapping[Cell, Sums]) -> None:
    """Add to totals of the current organization. Call it in the transaction that stores the records."""
    if not totals:
        return
    organization_id = current_organization_id()
    rows = sorted(_row(organization_id, cell, sums) for cell, sums in totals.items())
    with connection.cursor() as cursor:
        cursor.execute(_ADD, [list(column) for column in zip(*rows, strict=True)])


def rebuild(day: date) -> None:
    """Make the totals of one day (UTC) anew from its records, which must all be there and priced."""
    buckets_of(day).delete()
    add(cells.added_up(_parts_of(records_of(day))))


def buckets_of(day: date) -> "QuerySet[UsageBucket]":
    """The current organization's totals of a day, in every grain."""
    start = beginning_of(day)
    rows: QuerySet[UsageBucket] = UsageBucket.objects.filter(start__gte=start, start__lt=start + DAY)
    return rows


def records_of(day: date) -> "QuerySet[UsageRecord]":
    """The current organization's records of a day."""
    start = beginning_of(day)
    rows: QuerySet[UsageRecord] = UsageRecord.objects.filter(
        started_at__gte=start, started_at__lt=start + DAY
    )
    return rows


def beginning_of(day: date) -> datetime:
    """The first moment of a day (UTC)."""
    return datetime.combine(day, time(), UTC)


def _parts_of(records: "QuerySet[UsageRecord]") -> list[tuple[Cell, Sums]]:
    named = ("surface", "project_id", "key_id", "user_id", "model", "batch")
    rows = list(
        records.annotate(minute=TruncMinute("started_at", tzinfo=UTC))
        .values_list("minute", *named)
        .annotate(**SUMS_OF_RECORDS)
    )
    makers = makers_of({key_id for _, _, _, key_id, *_ in rows if key_id})
    found = []
    for minute, surface, project_id, key_id, user_id, model, batch, *sums in rows:
        person = user_id or makers.get(key_id)
        family = cells.family_of(surface)
        cell = Cell(Grain.MINUTE, minute, family, project_id, key_id, person, model, batch)
        found.append((cell, Sums(*(int(one) for one in sums))))
    return found


def _row(organization_id: UUID, cell: Cell, sums: Sums) -> Row:
    return (
        cells.id_of(organization_id, cell),
        organization_id,
        cell.grain.value,
        cell.start,
        cell.family.value,
        cell.project_id,
        cell.key_id,
        cell.user_id,
        cell.model,
        cell.batch,
        sums.requests,
        sums.prompt_tokens,
        sums.cached_prompt_tokens,
        sums.completion_tokens,
        sums.cost_microunits,
    )
