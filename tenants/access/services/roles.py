"""Who has which role: assignments to members and groups, in the organization or in one project."""

from dataclasses import dataclass
from typing import Any

from kernel.audit.log import record
from kernel.errors import Conflict, NotFound
from kernel.events.outbox import Happening, emit
from kernel.tenancy.scope import current_organization_id
from tenants.access.models import CustomRole, Group, Member, RoleAssignment
from tenants.access.permissions import Role
from tenants.organizations.models import Organization, Project

STANDING_CHANGED = "tenants.standing.changed.v1"


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


Assignable = BuiltIn | CustomRole


def assign(role: Assignable, *, to: Member | Group, project: Project | None = None) -> RoleAssignment:
    """Give a role to a member or a group, in the whole organization or in one project; twice is once."""
    found, made = RoleAssignment.objects.get_or_create(**_row(role, to, project))
    if made:
        record("role.assign", to.public_id, role=role.name, project=project.public_id if project else None)
        tell_standing_changed()
    assignment: RoleAssignment = found
    return assignment


def unassign(role: Assignable, *, of: Member | Group, project: Project | None = None) -> None:
    """Take a role away. Raises `NotFound` where it was not assigned, `LastOwner`."""
    owning = role == BuiltIn(Role.OWNER) and project is None
    if owning:
        lock_owners()
    deleted, _ = RoleAssignment.objects.filter(**_row(role, of, project)).delete()
    if not deleted:
        raise NotFound("This role is not assigned there.")
    if owning:
        require_an_owner()
    record("role.unassign", of.public_id, role=role.name, project=project.public_id if project else None)
    tell_standing_changed()


def lock_owners() -> None:
    """Let nobody else take owners away until this transaction ends: two could each leave the other."""
    Organization.objects.select_for_update().get(pk=current_organization_id())


def require_an_owner() -> None:
    """Raises `LastOwner` unless an active member owns the organization by a role of their own."""
    owners = RoleAssignment.objects.filter(
        builtin=Role.OWNER.value, project=None, member__isnull=False, member__deactivated_at=None
    )
    if not owners.exists():
        raise LastOwner


def tell_standing_changed() -> None:
    """Say that what somebody may do has changed: sockets look again, keys are published anew."""
    organization_id = current_organization_id()
    emit(Happening(name=STANDING_CHANGED, aggregate_id=organization_id, resource="standing"))


def _row(role: Assignable, holder: Member | Group, project: Project | None) -> dict[str, Any]:
    return {
        "member": holder if isinstance(holder, Member) else None,
        "group": holder if isinstance(holder, Group) else None,
        "builtin": role.role.value if isinstance(role, BuiltIn) else "",
        "custom_role": role if isinstance(role, CustomRole) else None,
        "project": project,
    }
