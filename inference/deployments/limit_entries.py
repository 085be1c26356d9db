"""The limits and prices that travel in the serving snapshot, with what the database knows to be used."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.db.models import Sum

from tenants.limits.kinds import ADMITTED, Bound, Kind, Scope, period_of
from tenants.limits.models import Limit, Plan, Use
from tenants.limits.services import membership, prices, uses
from tenants.limits.services.bounds import WHOLE, bound_of, bounds_of_plan
from tenants.organizations.models import Organization

LIMITS_PREFIX = "lw:snapshot:limits:"
PRICES = "lw:snapshot:prices"

Entries = dict[str, bytes | None]


def entries_of_limits(organization_id: UUID) -> Entries:
    """The entry of the current organization; None, which means to remove it, where nothing bounds it."""
    now = uses.database_now()
    own = [bound_of(row) for row in Limit.objects.filter(kind__in=_names(ADMITTED)).order_by("pk")]
    bounds = [*own, *(bound for bound in bounds_of_plan() if bound.kind in ADMITTED)]
    shown = [_shown(bound, now, _used(bound, now)) for bound in bounds]
    limited = [bound.subject.subject_id for bound in own if bound.subject.scope is Scope.GROUP]
    groups = membership.memberships_in([group for group in limited if group])
    return {LIMITS_PREFIX + str(organization_id): _encoded(organization_id, shown, groups)}


def entries_of_plans(organizations: Sequence[Organization]) -> Entries:
    """The entries of organizations that set no limit themselves; reads across tenants, in few queries."""
    now = uses.database_now()
    plans = {plan.pk: plan for plan in Plan.objects.all()}
    periods = {period_of(kind, now) for kind in ADMITTED} - {None}
    rows = Use.objects.filter(organization_id__in=[one.pk for one in organizations], period__in=periods)
    used = {
        (organization_id, kind, period): int(total)
        for organization_id, kind, period, total in rows.values_list(
            "organization_id", "kind", "period"
        ).annotate(total=Sum("amount"))
    }
    entries: Entries = {}
    for organization in organizations:
        plan = plans.get(organization.plan)
        bounds = [
            Bound(WHOLE, Kind(kind), int(value)) for kind, value in (plan.limits if plan else {}).items()
        ]
        shown = [
            _shown(bound, now, used.get((organization.pk, bound.kind.value, period_of(bound.kind, now)), 0))
            for bound in bounds
            if bound.kind in ADMITTED
        ]
        entries[LIMITS_PREFIX + str(organization.pk)] = _encoded(organization.pk, shown, {})
    return entries


def with_limits_of_their_own(organization_ids: Sequence[UUID]) -> set[UUID]:
    """Which of these organizations set a limit that the gateways enforce; reads across tenants."""
    rows = Limit.objects.filter(organization_id__in=organization_ids, kind__in=_names(ADMITTED))
    return set(rows.values_list("organization_id", flat=True).distinct())


def entries_of_prices() -> Entries:
    """The price book as it is now; None where nothing has a price."""
    book = {
        name: [price.input_microunits_per_million_tokens, price.output_microunits_per_million_tokens]
        for name, price in prices.prices_now().items()
    }
    return {PRICES: orjson.dumps({"prices": book}) if book else None}


def _used(bound: Bound, now: datetime) -> int:
    if period_of(bound.kind, now) is None:
        return 0
    return uses.used(bound.kind, bound.subject, at=now)


def _shown(bound: Bound, now: datetime, used: int) -> dict[str, Any]:
    period = period_of(bound.kind, now)
    subject = bound.subject
    return {
        "scope": subject.scope.value,
        "subject_id": str(subject.subject_id) if subject.subject_id else None,
        "model": subject.model,
        "kind": bound.kind.value,
        "value": bound.value,
        "period": period.isoformat() if period else None,
        "used": used,
    }


def _encoded(
    organization_id: UUID, shown: list[dict[str, Any]], groups: dict[UUID, list[UUID]]
) -> bytes | None:
    if not shown:
        return None
    named = {str(person): [str(group) for group in theirs] for person, theirs in groups.items()}
    return orjson.dumps({"organization_id": str(organization_id), "limits": shown, "groups": named})


def _names(kinds: frozenset[Kind]) -> list[str]:
    return [kind.value for kind in kinds]
