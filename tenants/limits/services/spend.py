"""What requests came to: usage times prices, added up as usage arrives."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tenants.limits.kinds import Kind, period_of
from tenants.limits.services import prices, thresholds, uses


@dataclass(frozen=True)
class Charge:
    """One request: when, where, by whom, of which model (its alias, and its base), how many tokens."""

    at: datetime
    project_id: UUID
    user_id: UUID | None
    key_id: UUID | None
    model: str
    base_model: str
    input_tokens: int
    output_tokens: int


def charge(charges: Iterable[Charge]) -> list[int]:
    """Add requests of the current organization to what it used, and tell of limits that this reaches.

    Answers what each came to, in micro-units, by the price of its own moment. Each request is to be charged
    once: call it in the transaction that stores it for the first time.
    """
    held = list(charges)
    costs = costs_of(held)
    amounts: Counter[uses.Place] = Counter()
    for one, microunits in zip(held, costs, strict=True):
        _count(amounts, Kind.TOKENS_PER_DAY, one, one.input_tokens + one.output_tokens)
        _count(amounts, Kind.SPEND_MICROUNITS_PER_MONTH, one, microunits)
    if amounts:
        uses.add(amounts)
        thresholds.review({place.kind for place in amounts if isinstance(place.kind, Kind)})
    return costs


def costs_of(charges: Iterable[Charge]) -> list[int]:
    """What each request came to, in micro-units, by the price of its own moment; nothing is added."""
    book = prices.PriceBook()
    return [
        prices.cost_microunits(
            book.at(one.at, one.model, one.base_model),
            input_tokens=one.input_tokens,
            output_tokens=one.output_tokens,
        )
        for one in charges
    ]


def _count(amounts: "Counter[uses.Place]", kind: Kind, one: Charge, amount: int) -> None:
    period = period_of(kind, one.at)
    if amount and period is not None:
        amounts[uses.Place(kind, period, one.project_id, one.user_id, one.key_id)] += amount
