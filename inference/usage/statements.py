"""The statement of a month: what each project used of each model on each day, and what that came to."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from django.db.models import Q, Sum
from django.db.models.functions import TruncMonth

from inference.usage.models import Grain, UsageBucket
from inference.usage.reading import TRAINING, Window, sums_by, training_by_day
from inference.usage.totals import beginning_of
from tenants.limits.kinds import Kind
from tenants.limits.services import uses


@dataclass(frozen=True)
class Line:
    """One day of one project and model; training has no model, and its tokens are no measure of it."""

    day: date
    project_id: UUID
    kind: str
    model: str
    requests: int
    input_tokens: int
    output_tokens: int
    microunits: int


@dataclass(frozen=True)
class Statement:
    """A month, in micro-units. `charged_microunits` is what limits were told; it is the same sum."""

    month: date
    lines: tuple[Line, ...]
    charged_microunits: int

    @property
    def total_microunits(self) -> int:
        """The sum of the lines."""
        return sum(line.microunits for line in self.lines)


def statement_of(month: date) -> Statement:
    """The current organization's statement of the month that begins on this day."""
    window = window_of(month)
    lines = sorted((*_requests(window), *_training(window)), key=lambda line: (line.day, repr(line)))
    return Statement(month, tuple(lines), charged(month))


def charged(month: date) -> int:
    """The micro-units that were charged in a month, as limits count them."""
    return uses.by_period(Kind.SPEND_MICROUNITS_PER_MONTH, month, month).get(month, 0)


def window_of(month: date) -> Window:
    """The days of a month."""
    return Window(Grain.DAY, beginning_of(month), beginning_of(following(month)))


def following(month: date) -> date:
    """The first day of the next month."""
    return (month + timedelta(days=31)).replace(day=1)


def months() -> list[tuple[date, int, int]]:
    """The months in which anything was used, newest first, with their requests and micro-units."""
    rows = (
        UsageBucket.objects.filter(grain=Grain.DAY.value)
        .annotate(month=TruncMonth("start", tzinfo=UTC))
        .values_list("month")
        .annotate(Sum("requests"), Sum("cost_microunits"))
    )
    found = {month.date(): (int(requests), int(cost)) for month, requests, cost in rows}
    for day, _, microunits in training_by_day(Window(Grain.DAY, _LONG_AGO, _FAR_AHEAD)):
        requests, cost = found.get(day.date().replace(day=1), (0, 0))
        found[day.date().replace(day=1)] = (requests, cost + microunits)
    return [(month, *found[month]) for month in sorted(found, reverse=True)]


_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_FAR_AHEAD = datetime(2100, 1, 1, tzinfo=UTC)


def _requests(window: Window) -> Iterator[Line]:
    for start, rows in sums_by(window, Q(), ("project_id", "family", "model")).items():
        for (project_id, family, model), sums in rows:
            yield Line(
                start.astimezone(UTC).date(),
                project_id,
                family,
                model,
                sums.requests,
                sums.prompt_tokens,
                sums.completion_tokens,
                sums.cost_microunits,
            )


def _training(window: Window) -> Iterator[Line]:
    for day, project_id, microunits in training_by_day(window):
        yield Line(day.date(), project_id, TRAINING, "", 0, 0, 0, microunits)
