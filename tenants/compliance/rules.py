"""For how long each kind of data is kept: what the table declares, unless the organization chose."""

from dataclasses import dataclass

from kernel.ports.holdings import Keeping
from tenants.compliance.errors import KindUnknown
from tenants.compliance.holdings import Model, tables
from tenants.compliance.models import RetentionPolicy


@dataclass(frozen=True)
class Rule:
    """What holds for a kind: `days` since a moment, None without end; chosen or the platform's default."""

    kind: str
    model: Model
    keeping: Keeping
    days: int | None
    is_own: bool


def kept_tables() -> list[Model]:
    """The tables whose rows are kept for a number of days."""
    return [model for model in tables() if model.holding.kept is not None]


def in_force() -> list[Rule]:
    """What holds in the current organization, by kind."""
    own = dict(RetentionPolicy.objects.values_list("kind", "days"))
    return [_rule(model, own) for model in kept_tables()]


def rule_of(kind: str) -> Rule:
    """What holds for a kind. Raises `KindUnknown`."""
    found = next((rule for rule in in_force() if rule.kind == kind), None)
    if found is None:
        known = ", ".join(f"'{model.holding.kind}'" for model in kept_tables())
        raise KindUnknown(f"'{kind[:50]}' is not kept by days; these are: {known}.", param="kind")
    return found


def _rule(model: Model, own: dict[str, int | None]) -> Rule:
    kind, keeping = model.holding.kind, model.holding.kept
    assert keeping is not None
    return Rule(kind, model, keeping, own.get(kind, keeping.days), kind in own)
