"""Records, totals and charges, compared: every difference is told, and totals are made anew from records.

What was charged is never changed: whoever reads of such a difference decides.
"""

from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import structlog
from django.db.models import F, QuerySet, Sum
from django.db.models.functions import TruncDate, TruncDay, TruncHour

from inference.usage import statements, totals
from inference.usage.cells import HIT, Sums, family_of
from inference.usage.charges import charges_of
from inference.usage.models import Grain, UsageBucket, UsageRecord
from inference.usage.reading import training_by_day
from kernel.tenancy.scope import acting_for
from tenants.compliance.work import living_organizations
from tenants.limits.kinds import Kind
from tenants.limits.services import spend, uses

PRICED_AT_ONCE = 1_000
# Minutes are compared hour by hour: what lies in the wrong minute of an hour shows in no bill.
COMPARED_BY = {Grain.MINUTE: TruncHour, Grain.HOUR: TruncHour, Grain.DAY: TruncDay}

log = structlog.get_logger()

Place = tuple[datetime, str, UUID, UUID | None, str, bool]


@dataclass(frozen=True)
class Difference:
    """Something that is not the same in two places. `what` is a column of totals, or `charged_…`.

    `kept` is what the records say (for charges: the totals), `found` what stands where it is read.
    """

    day: date
    grain: str
    what: str
    kept: int
    found: int
    repaired: bool
    project_id: UUID | None = None
    model: str = ""

    def __str__(self) -> str:
        repaired = ", repaired" if self.repaired else ""
        place = f" of project {self.project_id}, model {self.model}" if self.project_id else ""
        return f"{self.day} {self.grain} {self.what}{place}: {self.found} instead of {self.kept}{repaired}"


def reconcile_everywhere(month: date) -> int:
    """Reconcile a month of every organization; answers how many differences there were."""
    return sum(len(reconcile(organization_id, month)) for organization_id in living_organizations())


def reconcile(organization_id: UUID, month: date, *, repair: bool = True) -> list[Difference]:
    """Compare a month of one organization, day by day, and mend its totals unless told otherwise.

    Days whose records went by retention are compared with charges only.
    """
    found: list[Difference] = []
    with acting_for(organization_id):
        days = _days_of(month)
    for day in days:
        with acting_for(organization_id):
            totals.lock()
            found += _compare_day(day, repair=repair)
    with acting_for(organization_id):
        totals.lock()
        found += _compare_charges(month)
    for difference in found:
        log.warning(
            "usage.difference",
            organization_id=str(organization_id),
            day=difference.day.isoformat(),
            grain=difference.grain,
            what=difference.what,
            kept=difference.kept,
            found=difference.found,
            repaired=difference.repaired,
        )
    return found


def _days_of(month: date) -> list[date]:
    """The days of a month of which there is anything to compare."""
    window = statements.window_of(month)
    records = UsageRecord.objects.filter(started_at__gte=window.start, started_at__lt=window.end)
    buckets = UsageBucket.objects.filter(start__gte=window.start, start__lt=window.end)
    last = statements.following(month) - timedelta(days=1)
    found = {
        *uses.by_period(Kind.TOKENS_PER_DAY, month, last),
        *records.annotate(day=TruncDate("started_at", tzinfo=UTC)).values_list("day", flat=True).distinct(),
        *buckets.annotate(day=TruncDate("start", tzinfo=UTC)).values_list("day", flat=True).distinct(),
    }
    return sorted(found)


def _compare_day(day: date, *, repair: bool) -> list[Difference]:
    buckets = totals.buckets_of(day)
    if buckets.filter(records_gone=True).exists():
        return []
    if repair:
        _price(totals.records_of(day).filter(cost_microunits=None))
    differences = [
        difference
        for grain in Grain
        for difference in _differences(
            day,
            grain,
            _by_record(totals.records_of(day), grain),
            _by_total(buckets.filter(grain=grain.value), grain),
            repaired=repair,
        )
    ]
    if differences and repair:
        totals.rebuild(day)
    return [*differences, *_compare_tokens(day)]


def _compare_tokens(day: date) -> Iterator[Difference]:
    """What limits by the day were told, beside what the records say; answers from the cache cost nothing."""
    paid = totals.records_of(day).exclude(cache=HIT)
    kept = paid.aggregate(total=Sum(F("prompt_tokens") + F("completion_tokens"), default=0))["total"]
    found = uses.by_period(Kind.TOKENS_PER_DAY, day, day).get(day, 0)
    if int(kept) != found:
        yield Difference(day, Grain.DAY.value, "charged_tokens", int(kept), found, repaired=False)


def _differences(
    day: date, grain: Grain, kept: dict[Place, Sums], found: dict[Place, Sums], *, repaired: bool
) -> Iterator[Difference]:
    for place in sorted(kept.keys() | found.keys(), key=repr):
        pair = zip(
            fields(Sums), astuple(kept.get(place, Sums())), astuple(found.get(place, Sums())), strict=True
        )
        for column, right, wrong in pair:
            if right != wrong:
                _, _, project_id, _, model, _ = place
                yield Difference(day, grain.value, column.name, right, wrong, repaired, project_id, model)


def _by_record(records: "QuerySet[UsageRecord]", grain: Grain) -> dict[Place, Sums]:
    rows = (
        records.annotate(at=COMPARED_BY[grain]("started_at", tzinfo=UTC))
        .values_list("at", "surface", "project_id", "key_id", "model", "batch")
        .annotate(**totals.SUMS_OF_RECORDS)
    )
    found: dict[Place, Sums] = {}
    for at, surface, project_id, key_id, model, batch, *sums in rows:
        place = (at, family_of(surface).value, project_id, key_id, model, batch)
        found[place] = found.get(place, Sums()) + Sums(*(int(one) for one in sums))
    return found


def _by_total(buckets: "QuerySet[UsageBucket]", grain: Grain) -> dict[Place, Sums]:
    rows = (
        buckets.annotate(at=COMPARED_BY[grain]("start", tzinfo=UTC))
        .values_list("at", "family", "project_id", "key_id", "model", "batch")
        .annotate(*(Sum(column.name) for column in fields(Sums)))
    )
    return {
        (at, family, project_id, key_id, model, batch): Sums(*(int(one) for one in sums))
        for at, family, project_id, key_id, model, batch, *sums in rows
    }


def _price(unpriced: "QuerySet[UsageRecord]") -> None:
    """Say what records came to that are from before costs were kept, by the prices of their moments."""
    while rows := list(unpriced.order_by("pk")[:PRICED_AT_ONCE]):
        for record, cost in zip(rows, spend.costs_of(charges_of(rows)), strict=True):
            record.cost_microunits = cost
        UsageRecord.objects.bulk_update(rows, ["cost_microunits"])


def _compare_charges(month: date) -> Iterator[Difference]:
    window = statements.window_of(month)
    days = UsageBucket.objects.filter(grain=Grain.DAY.value, start__gte=window.start, start__lt=window.end)
    requests = days.aggregate(total=Sum("cost_microunits", default=0))["total"]
    money = int(requests) + sum(amount for _, _, amount in training_by_day(window))
    if money != (charged := statements.charged(month)):
        yield Difference(month, "month", "charged_microunits", money, charged, repaired=False)
