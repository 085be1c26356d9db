"""What can be limited, for whom, over which time; and which of several bounds is the strictest."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from uuid import UUID


class Kind(StrEnum):
    """What is limited. The unit is part of the name."""

    REQUESTS_PER_MINUTE = "requests_per_minute"
    TOKENS_PER_MINUTE = "tokens_per_minute"
    TOKENS_PER_DAY = "tokens_per_day"
    CONCURRENT_STREAMS = "concurrent_streams"
    TRAINING_MINUTES_PER_MONTH = "training_minutes_per_month"
    STORAGE_BYTES = "storage_bytes"
    SPEND_MICROUNITS_PER_MONTH = "spend_microunits_per_month"


class Tally(StrEnum):
    """What is counted for statements and never limited."""

    TRAINING_MICROUNITS_PER_DAY = "training_microunits_per_day"


class Scope(StrEnum):
    """For whom, from the widest to the narrowest."""

    ORGANIZATION = "organization"
    PROJECT = "project"
    GROUP = "group"
    MEMBER = "member"
    KEY = "key"


# What the data plane asks of every request.
ADMITTED = frozenset(
    {
        Kind.REQUESTS_PER_MINUTE,
        Kind.TOKENS_PER_MINUTE,
        Kind.TOKENS_PER_DAY,
        Kind.CONCURRENT_STREAMS,
        Kind.SPEND_MICROUNITS_PER_MONTH,
    }
)
# What may be confined to one model of a project.
BY_MODEL = frozenset({Kind.REQUESTS_PER_MINUTE, Kind.TOKENS_PER_MINUTE})
# Files and jobs belong to people and projects, not to the key that brought them.
NOT_BY_KEY = frozenset({Kind.TRAINING_MINUTES_PER_MONTH, Kind.STORAGE_BYTES})
MONTHLY = frozenset({Kind.TRAINING_MINUTES_PER_MONTH, Kind.SPEND_MICROUNITS_PER_MONTH})
DAILY = frozenset({Kind.TOKENS_PER_DAY})
SECONDS_PER_MINUTE = 60
MAX_VALUE = 10**15


@dataclass(frozen=True)
class Subject:
    """Whom a bound is for. `subject_id` is None for the organization; `model` is empty for all models."""

    scope: Scope
    subject_id: UUID | None = None
    model: str = ""


@dataclass(frozen=True)
class Bound:
    """One limit that applies: for whom, of what, how much; from the plan or set by the organization."""

    subject: Subject
    kind: Kind
    value: int
    from_plan: bool = False


def strictest(bounds: Iterable[Bound]) -> dict[Kind, Bound]:
    """Of each kind the bound with the least value; among equals the widest, which is reached first."""
    order = list(Scope)
    found: dict[Kind, Bound] = {}
    for bound in bounds:
        held = found.get(bound.kind)
        if held is None or _rank(bound, order) < _rank(held, order):
            found[bound.kind] = bound
    return found


def period_of(kind: Kind, at: datetime) -> date | None:
    """The first day of the period that a moment falls into (UTC); None for what has no calendar period."""
    day = at.astimezone(UTC).date()
    if kind in MONTHLY:
        return day.replace(day=1)
    return day if kind in DAILY else None


def resets_at(kind: Kind, at: datetime) -> datetime | None:
    """When what was used of a kind with a calendar period is forgotten; None for the others."""
    period = period_of(kind, at)
    if period is None:
        return None
    first_of_next = (period + timedelta(days=31)).replace(day=1)
    next_day = first_of_next if kind in MONTHLY else period + timedelta(days=1)
    return datetime(next_day.year, next_day.month, next_day.day, tzinfo=UTC)


def _rank(bound: Bound, order: list[Scope]) -> tuple[int, int]:
    return bound.value, order.index(bound.subject.scope)
