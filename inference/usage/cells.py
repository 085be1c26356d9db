"""What totals are kept by, and how requests add up to them.

Sums are the same in whatever order records come, so that redelivery and reordering change nothing.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from inference.usage.models import Family, Grain, UsageRecord

HIT = "hit"
_FAMILIES = {"embeddings": Family.EMBEDDINGS, "moderations": Family.MODERATIONS}


@dataclass(frozen=True)
class Cell:
    """One total: of which time, of what, where and by whom."""

    grain: Grain
    start: datetime
    family: Family
    project_id: UUID
    key_id: UUID | None
    user_id: UUID | None
    model: str
    batch: bool

    def widened(self, grain: Grain) -> "Cell":
        """The total of a longer time that this one is part of."""
        return replace(self, grain=grain, start=floor(self.start, grain))


@dataclass(frozen=True)
class Sums:
    """How much: requests, tokens, and micro-units of money."""

    requests: int = 0
    prompt_tokens: int = 0
    cached_prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_microunits: int = 0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            self.requests + other.requests,
            self.prompt_tokens + other.prompt_tokens,
            self.cached_prompt_tokens + other.cached_prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cost_microunits + other.cost_microunits,
        )


def family_of(surface: str) -> Family:
    """The family of a surface: all that generates text is completions."""
    return _FAMILIES.get(surface, Family.COMPLETIONS)


def floor(moment: datetime, grain: Grain) -> datetime:
    """The beginning of the minute, hour or day (UTC) of a moment."""
    minute = moment.astimezone(UTC).replace(second=0, microsecond=0)
    if grain is Grain.MINUTE:
        return minute
    hour = minute.replace(minute=0)
    return hour if grain is Grain.HOUR else hour.replace(hour=0)


def cell_of(record: UsageRecord, *, user_id: UUID | None) -> Cell:
    """The total of one minute to which a record belongs. `user_id` is who stands behind its key."""
    return Cell(
        Grain.MINUTE,
        floor(record.started_at, Grain.MINUTE),
        family_of(record.surface),
        record.project_id,
        record.key_id,
        user_id,
        record.model,
        record.batch,
    )


def sums_of(record: UsageRecord) -> Sums:
    """What one record adds. A prompt whose answer came from the cache counts as cached input."""
    return Sums(
        1,
        record.prompt_tokens,
        record.prompt_tokens if record.cache == HIT else 0,
        record.completion_tokens,
        record.cost_microunits or 0,
    )


def added_up(parts: Iterable[tuple[Cell, Sums]]) -> dict[Cell, Sums]:
    """Totals of minutes, and those of the hours and days that they are part of."""
    found: dict[Cell, Sums] = {}
    for cell, sums in parts:
        for whole in (cell, cell.widened(Grain.HOUR), cell.widened(Grain.DAY)):
            found[whole] = found.get(whole, Sums()) + sums
    return found


def id_of(organization_id: UUID, cell: Cell) -> UUID:
    """The one id of a total: shaped as a UUIDv7 of its beginning, the rest a hash of what it is for."""
    named = (organization_id, cell.grain.value, cell.family.value, cell.project_id, cell.key_id)
    parts = [*(str(one) for one in named), str(cell.user_id), str(cell.batch), cell.model]
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    value = int(cell.start.timestamp() * 1000) << 80 | int.from_bytes(digest[:10])
    value = value & ~(0xF << 76) | 0x7 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)
