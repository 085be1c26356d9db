"""The limits of an organization as the snapshot carries them, and which of them a request meets."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any

from inference.gateway.contract import Principal

REQUESTS_PER_MINUTE = "requests_per_minute"
TOKENS_PER_MINUTE = "tokens_per_minute"
TOKENS_PER_DAY = "tokens_per_day"
CONCURRENT_STREAMS = "concurrent_streams"
SPEND_PER_MONTH = "spend_microunits_per_month"
KINDS = frozenset(
    {REQUESTS_PER_MINUTE, TOKENS_PER_MINUTE, TOKENS_PER_DAY, CONCURRENT_STREAMS, SPEND_PER_MONTH}
)
BY_WINDOW = frozenset({REQUESTS_PER_MINUTE, TOKENS_PER_MINUTE})
_REMEMBERED = 4096
_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Bound:
    """One limit. `used` is what the database knew to be used in `period` (a day or month, ISO) when told."""

    scope: str
    subject_id: str
    model: str
    kind: str
    value: int
    period: str = ""
    used: int = 0

    @cached_property
    def name(self) -> str:
        """The counter's name: two bounds on the same subject and kind look at one counter."""
        return ":".join(part for part in (self.kind, self.scope, self.subject_id, self.model) if part)


@dataclass(frozen=True)
class LimitsEntry:
    """All limits of one organization, and of each person the groups that have any."""

    organization_id: str
    bounds: tuple[Bound, ...]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    _met: dict[tuple[str, ...], tuple[Bound, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def met(self, principal: Principal, model: str) -> tuple[Bound, ...]:
        """The limits that a request meets, the organization's first: of each counter the strictest."""
        asked = (principal.project_id, principal.key_id or "", person_of(principal), model)
        found = self._met.get(asked)
        if found is None:
            if len(self._met) >= _REMEMBERED:
                self._met.clear()
            found = self._met[asked] = tuple(_by_counter(bounds_met(self, principal, model)))
        return found


@dataclass(frozen=True)
class PricesEntry:
    """Micro-units per million tokens, input and output, by alias or base model."""

    prices: Mapping[str, tuple[int, int]]

    def cost(self, alias: str, base_model: str, input_tokens: int, output_tokens: int) -> int:
        """What tokens cost in micro-units, rounded up; a model without a price costs nothing."""
        price = self.prices.get(alias) or self.prices.get(base_model)
        if price is None:
            return 0
        return -(-(price[0] * input_tokens + price[1] * output_tokens) // 1_000_000)


def read_limits(document: dict[str, Any]) -> LimitsEntry:
    """Raises what indexing and converting raise."""
    return LimitsEntry(
        str(document["organization_id"]),
        tuple(
            Bound(
                scope=str(one["scope"]),
                subject_id=str(one.get("subject_id") or ""),
                model=str(one.get("model") or ""),
                kind=str(one["kind"]),
                value=int(one["value"]),
                period=str(one.get("period") or ""),
                used=int(one.get("used") or 0),
            )
            for one in document["limits"]
            if one["kind"] in KINDS
        ),
        {str(person): tuple(map(str, groups)) for person, groups in document.get("groups", {}).items()},
    )


def read_prices(document: dict[str, Any]) -> PricesEntry:
    """Raises what indexing and converting raise."""
    return PricesEntry({str(name): (int(one[0]), int(one[1])) for name, one in document["prices"].items()})


def bounds_met(entry: LimitsEntry, principal: Principal, model: str) -> Iterator[Bound]:
    """The limits that apply to a request, the organization's first."""
    person = person_of(principal)
    named = {
        "organization": ("",),
        "project": (principal.project_id,),
        "group": entry.groups.get(person, ()),
        "member": (person,),
        "key": (principal.key_id or "",),
    }
    for bound in entry.bounds:
        if bound.model and bound.model != model:
            continue
        if bound.subject_id in named.get(bound.scope, ()) and (
            bound.subject_id or bound.scope == "organization"
        ):
            yield bound


def person_of(principal: Principal) -> str:
    """The member as whose the request counts; empty for none."""
    return principal.user_id or principal.maker_id or ""


def _by_counter(bounds: Iterator[Bound]) -> list[Bound]:
    """The strictest bound of each counter."""
    found: dict[str, Bound] = {}
    for bound in bounds:
        held = found.get(bound.name)
        if held is None or bound.value < held.value:
            found[bound.name] = bound
    return list(found.values())


def period_of(kind: str, at: float | None = None) -> str:
    """The first day of the calendar period in which a moment (now unless told) lies; empty for the others."""
    if kind not in (SPEND_PER_MONTH, TOKENS_PER_DAY):
        return ""
    return _period(kind, int((time.time() if at is None else at) // _DAY_SECONDS))


@lru_cache(maxsize=16)
def _period(kind: str, day_number: int) -> str:
    day = datetime.fromtimestamp(day_number * _DAY_SECONDS, UTC).date()
    return (day.replace(day=1) if kind == SPEND_PER_MONTH else day).isoformat()


def seconds_to_reset(kind: str) -> float:
    """From now to the end of the calendar period; 0 for kinds without one."""
    now = datetime.now(UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if kind == TOKENS_PER_DAY:
        return (today + timedelta(days=1) - now).total_seconds()
    if kind == SPEND_PER_MONTH:
        return ((today.replace(day=1) + timedelta(days=32)).replace(day=1) - now).total_seconds()
    return 0.0
