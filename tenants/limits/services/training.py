"""Training: time and money are asked for before a job begins, and counted while it runs."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from tenants.limits.kinds import SECONDS_PER_MINUTE, Bound, Kind, Tally, period_of, resets_at
from tenants.limits.refusals import LimitReached
from tenants.limits.services import prices, thresholds, uses
from tenants.limits.services.bounds import Caller, bounds_for

TIME = Kind.TRAINING_MINUTES_PER_MONTH
SPEND = Kind.SPEND_MICROUNITS_PER_MONTH


@dataclass(frozen=True)
class Training:
    """Whose training is counted, and of which base model."""

    project_id: UUID
    user_id: UUID | None
    base_model: str

    @property
    def caller(self) -> Caller:
        """For whom limits apply."""
        return Caller(project_id=self.project_id, user_id=self.user_id)


def require_training_left(training: Training) -> None:
    """Raise `LimitReached` where a limit of training time or of spend that applies is used up."""
    now = uses.database_now()
    for bound in bounds_for(training.caller, {TIME, SPEND}):
        if _is_used_up(bound):
            resets = resets_at(bound.kind, now)
            if resets is not None:
                raise LimitReached(bound, used=uses.used(bound.kind, bound.subject), now=now, resets=resets)


def count_training(training: Training, *, seconds: int = 0, tokens: int = 0) -> LimitReached | None:
    """Add what a job has run since it was counted last; the fault with which it must end, if it must."""
    now = uses.database_now()
    price = prices.prices_now().get(training.base_model)
    cost = prices.training_cost_microunits(price, seconds=seconds, tokens=tokens)
    by_day = uses.Place(
        Tally.TRAINING_MICROUNITS_PER_DAY, now.astimezone(UTC).date(), training.project_id, training.user_id
    )
    amounts = Counter(
        {_place(TIME, training, now): seconds, _place(SPEND, training, now): cost, by_day: cost}
    )
    uses.add(Counter({place: amount for place, amount in amounts.items() if amount > 0}))
    thresholds.review({TIME, SPEND}, at=now)
    try:
        require_training_left(training)
    except LimitReached as fault:
        return fault
    return None


def _is_used_up(bound: Bound) -> bool:
    if bound.kind is TIME:
        return uses.used_seconds(bound.subject) >= bound.value * SECONDS_PER_MINUTE
    return uses.used(bound.kind, bound.subject) >= bound.value


def _place(kind: Kind, training: Training, now: datetime) -> uses.Place:
    period = period_of(kind, now)
    if period is None:
        raise ValueError(f"{kind} has no calendar period.")
    return uses.Place(kind, period, training.project_id, training.user_id)
