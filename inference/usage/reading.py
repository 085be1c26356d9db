"""Reads of totals. They never look at records, so their time goes by the callers and models there are."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q, Sum

from inference.usage.cells import Sums
from inference.usage.models import Grain, UsageBucket
from inference.usage.totals import beginning_of
from tenants.limits.kinds import Tally
from tenants.limits.services import uses

WIDTHS = {
    Grain.MINUTE: timedelta(minutes=1),
    Grain.HOUR: timedelta(hours=1),
    Grain.DAY: timedelta(days=1),
}
TRAINING = "training"
Group = tuple[Any, ...]


@dataclass(frozen=True)
class Window:
    """A time that is cut into buckets: it begins with a whole one, and `end` is not in it any more."""

    grain: Grain
    start: datetime
    end: datetime

    def buckets(self) -> Iterator[tuple[datetime, datetime]]:
        """The beginning and end of each."""
        at, width = self.start, WIDTHS[self.grain]
        while at < self.end:
            yield at, at + width
            at += width


@dataclass(frozen=True)
class CostRow:
    """What something came to in micro-units, and of how many tokens; None where tokens are not the measure.

    What is not grouped by is None.
    """

    project_id: UUID | None
    key_id: UUID | None
    line_item: str | None
    microunits: int
    tokens: int | None


def sums_by(window: Window, wanted: Q, columns: Sequence[str]) -> dict[datetime, list[tuple[Group, Sums]]]:
    """The current organization's totals of each bucket that has any, by these columns of `UsageBucket`."""
    rows = UsageBucket.objects.filter(
        wanted, grain=window.grain.value, start__gte=window.start, start__lt=window.end
    )
    totals = rows.values_list("start", *columns).annotate(
        Sum("requests"),
        Sum("prompt_tokens"),
        Sum("cached_prompt_tokens"),
        Sum("completion_tokens"),
        Sum("cost_microunits"),
    )
    found: dict[datetime, list[tuple[Group, Sums]]] = defaultdict(list)
    for start, *row in totals.order_by("start", *columns):
        group, sums = row[: len(columns)], row[len(columns) :]
        found[start].append((tuple(group), Sums(*(int(one) for one in sums))))
    return found


def costs_by(
    window: Window, wanted: Q, groups: frozenset[str], *, projects: Sequence[UUID], training: bool
) -> dict[datetime, list[CostRow]]:
    """What each day came to, by `project_id`, `key_id` and `line_item` as far as `groups` names them.

    `wanted` narrows requests; `projects` (all where empty) narrows training, which `training` leaves out.
    """
    found: dict[datetime, dict[Group, tuple[int, int | None]]] = defaultdict(dict)

    def count(
        day: datetime, place: tuple[UUID, UUID | None, str], microunits: int, tokens: int | None
    ) -> None:
        key = tuple(
            value if name in groups else None
            for name, value in zip(("project_id", "key_id", "line_item"), place, strict=True)
        )
        money, held = found[day].get(key, (0, 0 if tokens is not None else None))
        found[day][key] = (money + microunits, None if held is None or tokens is None else held + tokens)

    for day, rows in sums_by(window, wanted, ("project_id", "key_id", "model", "family")).items():
        for (project_id, key_id, model, family), sums in rows:
            tokens = sums.prompt_tokens + sums.completion_tokens
            count(day, (project_id, key_id, f"{model}, {family}"), sums.cost_microunits, tokens)
    if training:
        for day, project_id, microunits in training_by_day(window):
            if not projects or project_id in projects:
                count(day, (project_id, None, TRAINING), microunits, None)
    return {
        day: [
            CostRow(project_id, key_id, line_item, microunits, tokens)
            for (project_id, key_id, line_item), (microunits, tokens) in sorted(
                rows.items(), key=lambda item: repr(item[0])
            )
        ]
        for day, rows in found.items()
    }


def training_by_day(window: Window) -> list[tuple[datetime, UUID, int]]:
    """The day, the project and the micro-units of training in the window's days."""
    last = (window.end - timedelta(microseconds=1)).date()
    kept = uses.by_period_and_project(Tally.TRAINING_MICROUNITS_PER_DAY, window.start.date(), last)
    return [(beginning_of(day), project_id, amount) for day, project_id, amount in kept]
