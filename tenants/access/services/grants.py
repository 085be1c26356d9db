"""Grants: single objects opened to a member or a group, and objects kept to those to whom they are."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Permission as AuthPermission
from django.contrib.contenttypes.models import ContentType
from guardian.shortcuts import assign_perm, remove_perm

from kernel import ids
from kernel.audit.log import record
from kernel.errors import InvalidRequest, NotFound
from kernel.events.outbox import Happening, emit
from tenants.access.delegation import require_may_hand_out
from tenants.access.models import Group, Member, TenantGroupPermission, TenantUserPermission
from tenants.access.permissions import Permission
from tenants.access.principal import Principal
from tenants.access.restrictable import Restrictable, codename_of, restrictable_models
from tenants.access.services import roles

USE_PROJECT = "use_project"
RESTRICTED = "tenants.object.restricted.v1"

Subject = Member | Group


@dataclass(frozen=True)
class Grant:
    """What one member or group may do with one object besides what their roles say."""

    subject: Subject
    actions: tuple[Permission, ...]


def find_object(public_id: str, *, by: Principal) -> Restrictable:
    """The file, model version, deployment… of the caller's project with this id. Raises `NotFound`."""
    for prefix, model in restrictable_models().items():
        if public_id.startswith(ids.head_of(prefix)):
            found: Restrictable | None = model.objects.filter(
                pk=ids.parse(prefix, public_id, param="object"), project_id=by.project_id
            ).first()
            if found is not None and getattr(found, "deleted_at", None) is None:
                return found
    raise NotFound(f"There is no object '{public_id[:80]}' in this project.", param="object")


def grants_of(target: Restrictable) -> list[Grant]:
    """Every grant on an object: members first, then groups, each in the order of their ids."""
    names = {codename_of(action): action for action in type(target).actions}
    of_people = _actions_by(TenantUserPermission, "user_id", target, names)
    of_groups = _actions_by(TenantGroupPermission, "group_id", target, names)
    members = Member.objects.filter(user_id__in=list(of_people)).select_related("user").order_by("user_id")
    groups = Group.objects.filter(auth_group_id__in=list(of_groups)).order_by("pk")
    return [Grant(member, of_people[member.user_id]) for member in members] + [
        Grant(group, of_groups[group.auth_group_id]) for group in groups
    ]


def grant(target: Restrictable, subject: Subject, actions: Collection[Permission], *, by: Principal) -> None:
    """Open an object to a member or group with exactly these actions; none of them closes it.

    Raises `InvalidRequest` for an action that the object does not have, `Escalation`.
    """
    wanted, possible = set(actions), type(target).actions
    if strange := wanted - set(possible):
        raise InvalidRequest(
            f"'{min(strange)}' cannot be granted on this object; choose among {', '.join(possible)}.",
            param="actions",
        )
    before = _held(target, subject)
    require_may_hand_out(by, wanted ^ before, project_id=target.project_id)
    holder = subject.user if isinstance(subject, Member) else subject.auth_group
    for action in wanted - before:
        assign_perm(_permission(target, action), holder, target)
    for action in before - wanted:
        remove_perm(_permission(target, action), holder, target)
    if wanted != before:
        record(
            "grant.change",
            public_id_of(target),
            subject=subject.public_id,
            before=sorted(before),
            after=sorted(wanted),
        )
        roles.tell_standing_changed(subject)


def restrict(target: Restrictable, *, restricted: bool) -> None:
    """Keep an object to those to whom it is opened, or let roles reach it again."""
    changed = (
        type(target).objects.filter(pk=target.pk).exclude(restricted=restricted).update(restricted=restricted)
    )
    target.restricted = restricted
    if changed:
        record("object.restrict", public_id_of(target), before=not restricted, after=restricted)
        emit(
            Happening(
                name=RESTRICTED,
                aggregate_id=target.pk,
                project_id=target.project_id,
                resource="restriction",
                resource_id=public_id_of(target),
            )
        )
        roles.tell_standing_changed()


def forget_grants_of(member: Member) -> None:
    """Take back everything that was opened to a person in the current organization, projects included."""
    TenantUserPermission.objects.filter(user_id=member.user_id).delete()


def move_grants(before: Restrictable, after: Restrictable) -> None:
    """Open what replaces an object to whomever the object was opened; both are of one model."""
    for table in (TenantUserPermission, TenantGroupPermission):
        rows = table.objects.filter(content_type=ContentType.objects.get_for_model(before))
        rows.filter(object_pk=str(before.pk)).update(object_pk=str(after.pk))


def copy_grants(before: Restrictable, after: Restrictable) -> None:
    """Open what is made of an object to whomever that object is open; both are of one model."""
    for table in (TenantUserPermission, TenantGroupPermission):
        rows = table.objects.filter(
            content_type=ContentType.objects.get_for_model(before), object_pk=str(before.pk)
        )
        copies = list(rows)
        for copy in copies:
            copy.pk, copy.object_pk = ids.uuid7(), str(after.pk)
        table.objects.bulk_create(copies)


def public_id_of(target: Restrictable) -> str:
    """The object's id as clients know it."""
    return ids.render(type(target).prefix, target.pk)


def _held(target: Restrictable, subject: Subject) -> set[Permission]:
    names = {codename_of(action): action for action in type(target).actions}
    if isinstance(subject, Member):
        found = _actions_by(TenantUserPermission, "user_id", target, names).get(subject.user_id, ())
    else:
        found = _actions_by(TenantGroupPermission, "group_id", target, names).get(subject.auth_group_id, ())
    return set(found)


def _actions_by(
    table: Any, holder: str, target: Restrictable, names: dict[str, Permission]
) -> dict[Any, tuple[Permission, ...]]:
    rows = table.objects.filter(
        content_type=ContentType.objects.get_for_model(target),
        object_pk=str(target.pk),
        permission__codename__in=list(names),
    ).values_list(holder, "permission__codename")
    found: dict[Any, tuple[Permission, ...]] = {}
    for holder_id, codename in sorted(rows, key=lambda row: row[1]):
        found[holder_id] = (*found.get(holder_id, ()), names[codename])
    return found


def _permission(target: Restrictable, action: Permission) -> AuthPermission:
    return AuthPermission.objects.get(
        content_type=ContentType.objects.get_for_model(target), codename=codename_of(action)
    )
