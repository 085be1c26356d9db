"""Who asks: a member in the browser or an API key, and what they may do in which project."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from kernel import ids
from kernel.errors import PermissionDenied
from tenants.access.permissions import Permission


@dataclass(frozen=True)
class Principal:
    """The recognised caller of one request."""

    organization_id: UUID
    project_id: UUID
    permissions: frozenset[Permission]
    user_id: UUID | None = None
    key_id: UUID | None = None

    @property
    def actor(self) -> str:
        """The name in the audit log."""
        if self.key_id is not None:
            return ids.render("key", self.key_id)
        return ids.render("user", self.user_id) if self.user_id else "system"

    def must(self, permission: Permission) -> None:
        """Raise `PermissionDenied` unless the caller has the permission."""
        if permission not in self.permissions:
            raise PermissionDenied(
                f"This needs the permission '{permission}', which your role or key does not have."
            )


def granted(names: Iterable[str]) -> frozenset[Permission]:
    """The permissions among stored names; a name that no longer exists grants nothing."""
    known = {permission.value for permission in Permission}
    return frozenset(Permission(name) for name in names if name in known)
