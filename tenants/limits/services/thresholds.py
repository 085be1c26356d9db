"""Shares of limits that were reached: told once in each period, by an event that becomes an e-mail."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db.models import Q

from kernel.events.outbox import Happening, emit
from kernel.ids import render
from kernel.tenancy.scope import current_organization_id
from tenants.limits.kinds import DAILY, MONTHLY, Bound, Kind, Scope, Subject, period_of
from tenants.limits.models import Limit, ReachedThreshold, SpendAlert
from tenants.limits.services import uses
from tenants.limits.services.bounds import bound_of, bounds_of_plan

PERCENTS = (50, 80, 100)
REACHED = "tenants.limit.reached.v1"
SPENT = "tenants.spend_alert.reached.v1"
SPEND = Kind.SPEND_MICROUNITS_PER_MONTH


def review(kinds: set[Kind], *, at: datetime | None = None) -> None:
    """Look at the current organization's limits of these kinds, and tell what was reached newly.

    Safe to repeat: a share is told once in its period.
    """
    moment = at or uses.database_now()
    wanted = kinds & (MONTHLY | DAILY)
    rows = Limit.objects.filter(kind__in=[kind.value for kind in wanted], model="")
    plan = [bound for bound in bounds_of_plan() if bound.kind in wanted]
    for bound in [*(bound_of(row) for row in rows), *plan]:
        _review(bound, moment)
    if SPEND in wanted:
        _review_alerts(moment)


def _review(bound: Bound, moment: datetime) -> None:
    period = period_of(bound.kind, moment)
    if period is None or not bound.value:
        return
    used = uses.used(bound.kind, bound.subject, at=moment)
    for percent in PERCENTS:
        if used * 100 >= bound.value * percent:
            _tell(bound, period, percent, used)


def _tell(bound: Bound, period: date, percent: int, used: int) -> None:
    place: dict[str, Any] = {
        "scope": bound.subject.scope.value,
        "subject_id": bound.subject.subject_id,
        "kind": bound.kind.value,
        "period": period,
        "percent": percent,
    }
    _, first = ReachedThreshold.objects.get_or_create(**place)
    if first:
        emit(
            Happening(
                REACHED,
                aggregate_id=current_organization_id(),
                resource="limits",
                payload={
                    "scope": bound.subject.scope.value,
                    "subject_id": _text(bound.subject.subject_id),
                    "kind": bound.kind.value,
                    "percent": percent,
                    "value": bound.value,
                    "used": used,
                    "period": period.isoformat(),
                },
            )
        )


def _review_alerts(moment: datetime) -> None:
    month = period_of(SPEND, moment)
    # `exclude` alone would leave out those that were never told: in SQL, NULL is not unlike a month.
    due = SpendAlert.objects.filter(Q(told_for=None) | ~Q(told_for=month)).select_for_update()
    for alert in due.order_by("pk"):
        scope = Scope.PROJECT if alert.project_id else Scope.ORGANIZATION
        if uses.used(SPEND, Subject(scope, alert.project_id), at=moment) < alert.threshold_microunits:
            continue
        SpendAlert.objects.filter(pk=alert.pk).update(told_for=month)
        emit(
            Happening(
                SPENT,
                aggregate_id=alert.pk,
                project_id=alert.project_id,
                resource="spend_alert",
                resource_id=render("alert", alert.pk),
                payload={"alert_id": str(alert.pk)},
            )
        )


def _text(identifier: UUID | None) -> str | None:
    return str(identifier) if identifier else None
