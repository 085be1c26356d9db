"""Who asks: a member in the browser or an API key, and what they may do where."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from kernel import ids
from kernel.errors import DomainError, InvalidRequest, PermissionDenied
from tenants.access.permissions import Permission


@dataclass(frozen=True)
class Principal:
    """The recognised caller of one request.

    `permissions` hold in the chosen project, `everywhere` in the whole organization (the first include
    the second), `in_projects` in a project besides those. An administration key has no project, nor has a
    member to whom none is open.
    """

    organization_id: UUID
    project: UUID | None
    permissions: frozenset[Permission]
    everywhere: frozenset[Permission] = frozenset()
    in_projects: Mapping[UUID, frozenset[Permission]] = field(default_factory=dict)
    user_id: UUID | None = None
    key_id: UUID | None = None
    # Who made the key that calls; a service account's key stands for nobody.
    made_by: UUID | None = None
    # The only models that the key may use; empty restricts nothing.
    allowed_models: frozenset[str] = frozenset()
    # The organization requires a second factor, and the person has none yet: nothing else answers.
    lacks_factor: bool = False
    # Why a person in the browser can do next to nothing: the organization is suspended, or being closed.
    refusal: DomainError | None = None
    # Why the caller is not the person they seem: the operator's support access that let them in.
    support_access: UUID | None = None

    @property
    def project_id(self) -> UUID:
        """The chosen project. Raises `InvalidRequest` where there is none."""
        if self.project is None:
            raise InvalidRequest(
                "This needs a project: you are in none. Ask an administrator to open one to you, or use a "
                "project's API key.",
                code="no_project",
            )
        return self.project

    @property
    def actor(self) -> str:
        """The name in the audit log."""
        if self.key_id is not None:
            return ids.render("key", self.key_id)
        return ids.render("user", self.user_id) if self.user_id else "system"

    @property
    def person(self) -> UUID | None:
        """Who stands behind the call, in person or by a key of theirs."""
        return self.user_id or self.made_by

    def must(self, permission: Permission) -> None:
        """Raise `PermissionDenied` unless the caller has the permission in the chosen project."""
        _require(permission, self.permissions)

    def must_everywhere(self, permission: Permission) -> None:
        """Raise `PermissionDenied` unless the caller has the permission in the whole organization."""
        _require(permission, self.everywhere)

    def permissions_in(self, project_id: UUID) -> frozenset[Permission]:
        """What the caller may do in a project, chosen or not."""
        if project_id == self.project:
            return self.permissions
        return self.everywhere | self.in_projects.get(project_id, frozenset())


def granted(names: Iterable[str]) -> frozenset[Permission]:
    """The permissions among stored names; a name that no longer exists grants nothing."""
    known = {permission.value for permission in Permission}
    return frozenset(Permission(name) for name in names if name in known)


def _require(permission: Permission, held: frozenset[Permission]) -> None:
    if permission not in held:
        raise PermissionDenied(
            f"This needs the permission '{permission}', which your role or key does not have."
        )
