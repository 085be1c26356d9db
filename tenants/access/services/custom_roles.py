"""Roles that an organization makes: sets of permissions, for all of it or for one project."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db.models.functions import Now

from kernel.audit.log import record
from kernel.errors import Conflict, InvalidRequest
from kernel.events.outbox import Happening, emit
from tenants.access.delegation import require_may_hand_out
from tenants.access.models import CustomRole
from tenants.access.permissions import GRANTABLE, NEVER_IN_A_PROJECT, Permission, Role
from tenants.access.principal import Principal, granted
from tenants.access.services import people, roles
from tenants.organizations.models import Project

MAX_NAME_CHARACTERS = 100
MAX_DESCRIPTION_CHARACTERS = 500
MAX_ROLES = 500


class RoleNameTaken(Conflict):
    """Two roles would have one name."""

    code = "role_name_taken"


class TooManyRoles(Conflict):
    """The organization has as many roles as are kept."""

    code = "too_many_roles"
    message = f"An organization has at most {MAX_ROLES} roles of its own: delete one that is not used."


@dataclass(frozen=True)
class RoleDraft:
    """How a role shall be; None leaves what is there (a new role needs a name and permissions)."""

    name: str | None = None
    permissions: Collection[str] | None = None
    description: str | None = None


def make_role(draft: RoleDraft, *, by: Principal, project: Project | None = None) -> CustomRole:
    """A new role of the organization or of one project.

    Raises `InvalidRequest` naming the parameter, `RoleNameTaken`, `TooManyRoles`, `Escalation`.
    """
    roles.lock_organization()
    if CustomRole.objects.count() >= MAX_ROLES:
        raise TooManyRoles
    name = _free_name(draft.name or "", project)
    permissions = _valid_permissions(draft.permissions or (), project)
    require_may_hand_out(by, permissions, project_id=project.pk if project else None)
    role: CustomRole = CustomRole.objects.create(
        name=name,
        description=_valid_description(draft.description or ""),
        permissions=sorted(permissions),
        project=project,
        created_by=people.person_of(by),
    )
    record("role.create", role.public_id, name=role.name, permissions=role.permissions)
    tell("tenants.role.created.v1", role)
    role.refresh_from_db()
    return role


def change_role(role: CustomRole, draft: RoleDraft, *, by: Principal) -> CustomRole:
    """Change a role for all who have it. The caller must hold what it allowed and what it will allow.

    Raises what `make_role` raises.
    """
    roles.lock_organization()
    before = _described(role)
    after = _wished(role, draft)
    reached = granted(before["permissions"]) | granted(after["permissions"])
    require_may_hand_out(by, reached, project_id=role.project_id)
    CustomRole.objects.filter(pk=role.pk).update(**after, updated_at=Now())
    record("role.update", role.public_id, before=before, after=after)
    tell("tenants.role.updated.v1", role)
    roles.tell_standing_changed()
    role.refresh_from_db()
    return role


def delete_role(role: CustomRole, *, by: Principal) -> None:
    """End a role: whoever had it loses what it allowed. Raises `Escalation`."""
    require_may_hand_out(by, roles.permissions_of(role), project_id=role.project_id)
    record("role.delete", role.public_id, name=role.name, permissions=role.permissions)
    tell("tenants.role.deleted.v1", role)
    role.delete()
    roles.tell_standing_changed()


def tell(name: str, role: CustomRole) -> None:
    """Say what happened to a role."""
    emit(
        Happening(
            name=name,
            aggregate_id=role.pk,
            project_id=role.project_id,
            resource="role",
            resource_id=role.public_id,
        )
    )


def _described(role: CustomRole) -> dict[str, Any]:
    return {"name": role.name, "permissions": role.permissions, "description": role.description}


def _wished(role: CustomRole, draft: RoleDraft) -> dict[str, Any]:
    """The role as it shall be; what the draft leaves open stays."""
    wished = _described(role)
    if draft.name is not None and draft.name.strip() != role.name:
        wished["name"] = _free_name(draft.name, role.project)
    if draft.permissions is not None:
        wished["permissions"] = sorted(_valid_permissions(draft.permissions, role.project))
    if draft.description is not None:
        wished["description"] = _valid_description(draft.description)
    return wished


def _free_name(name: str, project: Project | None) -> str:
    name = name.strip()
    if not 0 < len(name) <= MAX_NAME_CHARACTERS or not name.isprintable():
        raise InvalidRequest(
            f"'role_name' must have 1 to {MAX_NAME_CHARACTERS} printable characters.", param="role_name"
        )
    if name.lower() in set(Role) or CustomRole.objects.filter(project=project, name=name).exists():
        raise RoleNameTaken(f"There is a role '{name}' already.", param="role_name")
    return name


def _valid_permissions(names: Collection[str], project: Project | None) -> frozenset[Permission]:
    possible = GRANTABLE if project is None else GRANTABLE - NEVER_IN_A_PROJECT
    if not names:
        raise InvalidRequest("'permissions' must name at least one permission.", param="permissions")
    if strange := sorted(set(names) - possible):
        where = "a role" if project is None else "a project's role"
        raise InvalidRequest(
            f"'{strange[0][:80]}' is no permission that {where} can hold; choose among "
            f"{', '.join(sorted(possible))}.",
            param="permissions",
            code="unknown_permission",
        )
    return frozenset(Permission(name) for name in names)


def _valid_description(text: str) -> str:
    if len(text) > MAX_DESCRIPTION_CHARACTERS or "\0" in text:
        raise InvalidRequest(
            f"'description' must have at most {MAX_DESCRIPTION_CHARACTERS} characters, none of them NUL.",
            param="description",
        )
    return text
