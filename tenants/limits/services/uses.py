"""What was used in a day or month: added up as it happens, read back by whom it was used."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet, Sum

from kernel.ids import uuid7
from kernel.tenancy.scope import current_organization_id
from tenants.limits.kinds import SECONDS_PER_MINUTE, Kind, Scope, Subject, Tally, period_of
from tenants.limits.models import Use
from tenants.limits.services import membership

_ADD = """
INSERT INTO limits_use (id, organization_id, kind, period, project_id, user_id, key_id, amount)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT ON CONSTRAINT use_once DO UPDATE SET amount = limits_use.amount + EXCLUDED.amount
"""


@dataclass(frozen=True)
class Place:
    """Of which kind, in which period, where and by whom."""

    kind: Kind | Tally
    period: date
    project_id: UUID
    user_id: UUID | None = None
    key_id: UUID | None = None


def add(amounts: "Counter[Place]") -> None:
    """Add to what was used in the current organization. Training time is kept in seconds."""
    organization_id = current_organization_id()
    # In one order, so that two who add at once cannot wait for each other.
    rows = sorted(amounts.items(), key=lambda item: repr(item[0]))
    with connection.cursor() as cursor:
        for place, amount in rows:
            where = (place.kind.value, place.period, place.project_id, place.user_id, place.key_id)
            cursor.execute(_ADD, [uuid7(), organization_id, *where, amount])


def used(kind: Kind, subject: Subject, *, at: datetime | None = None) -> int:
    """What a subject used of a kind in the period of a moment (now unless told), in the kind's unit."""
    period = period_of(kind, at or database_now())
    total = Use.objects.filter(_of(subject), kind=kind.value, period=period).aggregate(total=Sum("amount"))
    amount = int(total["total"] or 0)
    return amount // SECONDS_PER_MINUTE if kind is Kind.TRAINING_MINUTES_PER_MONTH else amount


def used_seconds(subject: Subject) -> int:
    """The training time of a subject in this month, in seconds."""
    kind = Kind.TRAINING_MINUTES_PER_MONTH
    rows = Use.objects.filter(_of(subject), kind=kind.value, period=period_of(kind, database_now()))
    return int(rows.aggregate(total=Sum("amount"))["total"] or 0)


def by_period(kind: Kind, first: date, last: date) -> dict[date, int]:
    """What the current organization used of a kind in each period from `first` to `last`, both included."""
    rows = _between(kind, first, last).values_list("period").annotate(total=Sum("amount"))
    return {period: int(total) for period, total in rows}


def by_period_and_project(tally: Tally, first: date, last: date) -> list[tuple[date, UUID, int]]:
    """The period, the project and the amount of a tally, from `first` to `last`, both included."""
    rows = _between(tally, first, last).values_list("period", "project_id").annotate(total=Sum("amount"))
    return [
        (period, project_id, int(total))
        for period, project_id, total in rows.order_by("period", "project_id")
    ]


def database_now() -> datetime:
    """The database's clock, which every period goes by."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        now: datetime = cursor.fetchone()[0]
    return now


def _between(kind: Kind | Tally, first: date, last: date) -> "QuerySet[Use]":
    rows: QuerySet[Use] = Use.objects.filter(kind=kind.value, period__gte=first, period__lte=last)
    return rows


def _of(subject: Subject) -> Q:
    if subject.scope is Scope.PROJECT:
        return Q(project_id=subject.subject_id)
    if subject.scope is Scope.MEMBER:
        return Q(user_id=subject.subject_id)
    if subject.scope is Scope.KEY:
        return Q(key_id=subject.subject_id)
    if subject.scope is Scope.GROUP and subject.subject_id is not None:
        return Q(user_id__in=membership.people_of(subject.subject_id))
    return Q()
