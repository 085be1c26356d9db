"""The limits of the current organization: what it set, what its plan says, and which apply to whom."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db.models.functions import Now

from kernel.audit.log import record
from kernel.errors import InvalidRequest, NotFound
from kernel.events.outbox import Happening, emit
from kernel.tenancy.scope import current_organization_id
from tenants.limits.kinds import BY_MODEL, MAX_VALUE, NOT_BY_KEY, Bound, Kind, Scope, Subject
from tenants.limits.models import Limit, Plan
from tenants.limits.services import membership
from tenants.organizations.models import Organization

CHANGED = "tenants.limits.changed.v1"
WHOLE = Subject(Scope.ORGANIZATION)


@dataclass(frozen=True)
class Caller:
    """Where and by whom something is used, as far as it is known."""

    project_id: UUID | None = None
    user_id: UUID | None = None
    key_id: UUID | None = None
    model: str = ""


def bounds_for(caller: Caller, kinds: Iterable[Kind] = tuple(Kind)) -> list[Bound]:
    """Every limit that applies to a caller of the current organization, the plan's included."""
    wanted = set(kinds)
    rows = Limit.objects.filter(kind__in=[kind.value for kind in wanted])
    found = [bound_of(row) for row in rows]
    groups: set[UUID] = set()
    if caller.user_id and any(bound.subject.scope is Scope.GROUP for bound in found):
        groups = set(membership.groups_of(caller.user_id))
    own = [bound for bound in found if applies(bound.subject, caller, groups)]
    return own + [bound for bound in bounds_of_plan() if bound.kind in wanted]


def bounds_of_plan() -> list[Bound]:
    """What the plan of the current organization allows."""
    plan = Organization.objects.values_list("plan", flat=True).get(pk=current_organization_id())
    values = Plan.objects.filter(pk=plan).values_list("limits", flat=True).first() or {}
    return [Bound(WHOLE, Kind(kind), int(value), from_plan=True) for kind, value in values.items()]


def applies(subject: Subject, caller: Caller, groups: set[UUID]) -> bool:
    """Whether a limit on this subject bounds this caller."""
    if subject.model and subject.model != caller.model:
        return False
    named: dict[Scope, Collection[UUID | None]] = {
        Scope.ORGANIZATION: {None},
        Scope.PROJECT: {caller.project_id},
        Scope.GROUP: groups,
        Scope.MEMBER: {caller.user_id},
        Scope.KEY: {caller.key_id},
    }
    return subject.subject_id in named[subject.scope] and (
        subject.scope is Scope.ORGANIZATION or bool(subject.subject_id)
    )


def bound_of(row: Limit) -> Bound:
    """A stored limit as a value."""
    return Bound(Subject(Scope(row.scope), row.subject_id, row.model), Kind(row.kind), row.value)


def set_limit(subject: Subject, kind: Kind, value: int) -> Limit:
    """Set a limit of the current organization, or change it. Raises `InvalidRequest`, `NotFound`."""
    _check(subject, kind, value)
    place = {
        "scope": subject.scope.value,
        "subject_id": subject.subject_id,
        "model": subject.model,
        "kind": kind.value,
    }
    found: Limit | None = Limit.objects.select_for_update().filter(**place).first()
    before = found.value if found else None
    if found is None:
        found = Limit.objects.create(**place, value=value)
    else:
        Limit.objects.filter(pk=found.pk).update(value=value, updated_at=Now())
    found.refresh_from_db()
    record(
        "limit.update",
        found.public_id,
        subject=describe(subject),
        kind=kind.value,
        before={"value": before},
        after={"value": value},
    )
    tell_changed()
    return found


def remove_limit(limit: Limit) -> None:
    """Take a limit away; the plan's stays."""
    Limit.objects.filter(pk=limit.pk).delete()
    record(
        "limit.delete",
        limit.public_id,
        subject=describe(bound_of(limit).subject),
        kind=limit.kind,
        before={"value": limit.value},
        after={"value": None},
    )
    tell_changed()


def find_limit(limit_id: UUID) -> Limit:
    """A limit of the current organization. Raises `NotFound`."""
    found: Limit | None = Limit.objects.filter(pk=limit_id).first()
    if found is None:
        raise NotFound("There is no such limit.")
    return found


def limit_on(subject: Subject, kind: Kind) -> Limit | None:
    """What the current organization set itself on a subject, if it set anything."""
    found: Limit | None = Limit.objects.filter(
        scope=subject.scope.value, subject_id=subject.subject_id, model=subject.model, kind=kind.value
    ).first()
    return found


def require_known(named: dict[str, UUID]) -> None:
    """Raise `NotFound` for a project, member or key that the current organization does not have."""
    scopes = {"project_id": Scope.PROJECT, "user_id": Scope.MEMBER, "key_id": Scope.KEY}
    for name, identifier in named.items():
        if not membership.is_known(Subject(scopes[name], identifier)):
            raise NotFound(f"There is no such {scopes[name].value}.", param=name)


def tell_changed() -> None:
    """Say that the limits of the current organization are others now: the gateways follow."""
    emit(Happening(CHANGED, aggregate_id=current_organization_id(), resource="limits"))


def describe(subject: Subject) -> str:
    """For whom, in words."""
    where = (
        subject.scope.value if subject.subject_id is None else f"{subject.scope.value} {subject.subject_id}"
    )
    return f"{where}, model {subject.model}" if subject.model else where


def _check(subject: Subject, kind: Kind, value: int) -> None:
    if not 0 <= value <= MAX_VALUE:
        raise InvalidRequest(f"'value' must be a whole number from 0 to {MAX_VALUE}.", param="value")
    if subject.model and (subject.scope is not Scope.PROJECT or kind not in BY_MODEL):
        raise InvalidRequest(
            f"'model' goes only with the scope 'project' and {' or '.join(sorted(BY_MODEL))}.", param="model"
        )
    if subject.scope is Scope.KEY and kind in NOT_BY_KEY:
        raise InvalidRequest(
            f"'{kind}' cannot be set for a key: files and jobs belong to projects and people.", param="kind"
        )
    if (subject.subject_id is None) is not (subject.scope is Scope.ORGANIZATION):
        raise InvalidRequest(
            "'subject_id' names the project, group, member or key; the organization has none.",
            param="subject_id",
        )
    if not membership.is_known(subject):
        raise NotFound(f"There is no such {subject.scope.value}.", param="subject_id")
