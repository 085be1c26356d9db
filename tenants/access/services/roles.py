"""Who has which role: assignments to members and groups, in the organization or in one project."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from kernel import ids
from kernel.audit.log import record
from kernel.errors import Conflict, InvalidRequest, NotFound
from kernel.events.outbox import Happening, emit
from kernel.tenancy.scope import current_organization_id
from tenants.access.delegation import require_may_hand_out
from tenants.access.models import CustomRole, Group, GroupMember, Member, RoleAssignment
from tenants.access.permissions import MATRIX, Permission, Role
from tenants.access.principal import Principal, granted
from tenants.organizations.models import Organization, Project

STANDING_CHANGED = "tenants.standing.changed.v1"
# In its payload: the ids of those whom it is about. Without them it may be anybody.
PEOPLE = "people"
PREDEFINED = "role_"


class LastOwner(Conflict):
    """An organization always has somebody who owns it."""

    code = "last_owner"
    message = "The organization needs an owner: make somebody else one first."


@dataclass(frozen=True)
class BuiltIn:
    """A role that every organization has."""

    role: Role

    @property
    def name(self) -> str:
        return self.role.value

    @property
    def public_id(self) -> str:
        """`role_` and its name: the same in every organization."""
        return PREDEFINED + self.role.value


Assignable = BuiltIn | CustomRole


def permissions_of(role: Assignable) -> frozenset[Permission]:
    """What a role allows."""
    return MATRIX[role.role] if isinstance(role, BuiltIn) else granted(role.permissions)


def find_role(public_id: str, *, project: Project | None = None, param: str | None = None) -> Assignable:
    """The role with this id, as it can be assigned in the organization or in the project.

    `role_` and a name is a built-in one. Raises `NotFound`; a project's own role is no other's.
    """
    name = public_id.removeprefix(PREDEFINED)
    if public_id.startswith(PREDEFINED) and name in set(Role):
        return BuiltIn(Role(name))
    role: CustomRole | None = CustomRole.objects.filter(pk=ids.parse("role", public_id, param=param)).first()
    if role is None or (role.project_id and (project is None or role.project_id != project.pk)):
        raise NotFound(f"There is no role '{public_id[:80]}' here.", param=param)
    return role


def give(
    role: Assignable, *, to: Member | Group, by: Principal, project: Project | None = None
) -> RoleAssignment:
    """`assign`, as far as the caller holds what the role allows. Raises `Escalation`, `InvalidRequest`."""
    if project is not None and role == BuiltIn(Role.OWNER):
        raise InvalidRequest("The organization is owned as a whole: in a project, give the role 'admin'.")
    _require_may_hand_out(role, by, project)
    return assign(role, to=to, project=project)


def take(role: Assignable, *, of: Member | Group, by: Principal, project: Project | None = None) -> None:
    """`unassign`, as far as the caller holds what the role allows. Raises what both raise."""
    _require_may_hand_out(role, by, project)
    unassign(role, of=of, project=project)


def role_of(assignment: RoleAssignment) -> Assignable:
    """The role that an assignment gives; the row's custom role should be selected with it."""
    if assignment.builtin:
        return BuiltIn(Role(assignment.builtin))
    custom: CustomRole | None = assignment.custom_role
    if custom is None:
        raise NotFound("This role does not exist any more.")
    return custom


def assign(role: Assignable, *, to: Member | Group, project: Project | None = None) -> RoleAssignment:
    """Give a role to a member or a group, in the whole organization or in one project; twice is once."""
    found, made = RoleAssignment.objects.get_or_create(**_row(role, to, project))
    if made:
        record("role.assign", to.public_id, role=role.name, project=project.public_id if project else None)
        tell_standing_changed(to)
    assignment: RoleAssignment = found
    return assignment


def unassign(role: Assignable, *, of: Member | Group, project: Project | None = None) -> None:
    """Take a role away. Raises `NotFound` where it was not assigned, `LastOwner`."""
    owning = role == BuiltIn(Role.OWNER) and project is None
    if owning:
        lock_organization()
    deleted, _ = RoleAssignment.objects.filter(**_row(role, of, project)).delete()
    if not deleted:
        raise NotFound("This role is not assigned there.")
    if owning:
        require_an_owner()
    record("role.unassign", of.public_id, role=role.name, project=project.public_id if project else None)
    tell_standing_changed(of)


def lock_organization() -> None:
    """Until this transaction ends, nobody else takes owners away or lets people in.

    Two could each leave the other as the last. It does not stop rows from naming the organization.
    """
    Organization.objects.select_for_update(no_key=True).get(pk=current_organization_id())


def require_an_owner(*, besides: Member | None = None) -> None:
    """Raises `LastOwner` unless an active member owns the organization by a role of their own."""
    owners = RoleAssignment.objects.filter(
        builtin=Role.OWNER.value, project=None, member__isnull=False, member__deactivated_at=None
    )
    if not owners.exclude(member=besides).exists():
        raise LastOwner


def tell_standing_changed(of: Member | Group | None = None) -> None:
    """Say that what somebody may do has changed: sockets look again, keys are published anew.

    `of` is whom it is about, so that nobody else's keys are; without it, everybody's are.
    """
    payload = {} if of is None else {PEOPLE: [str(user_id) for user_id in _people_of(of)]}
    organization_id = current_organization_id()
    emit(Happening(name=STANDING_CHANGED, aggregate_id=organization_id, resource="standing", payload=payload))


def _people_of(holder: Member | Group) -> list[UUID]:
    if isinstance(holder, Member):
        return [holder.user_id]
    return list(GroupMember.objects.filter(group=holder).values_list("member__user_id", flat=True))


def _require_may_hand_out(role: Assignable, by: Principal, project: Project | None) -> None:
    require_may_hand_out(by, permissions_of(role), project_id=project.pk if project else None)


def _row(role: Assignable, holder: Member | Group, project: Project | None) -> dict[str, Any]:
    return {
        "member": holder if isinstance(holder, Member) else None,
        "group": holder if isinstance(holder, Group) else None,
        "builtin": role.role.value if isinstance(role, BuiltIn) else "",
        "custom_role": role if isinstance(role, CustomRole) else None,
        "project": project,
    }
