"""The door to objects that grants open one by one."""

from typing import ClassVar

from kernel.tenancy.scope import acting_for
from tenants.access.endpoint import Endpoint
from tenants.access.permissions import Permission
from tenants.access.restrictable import require_somewhere


class ObjectEndpoint(Endpoint):
    """An address of single objects: it also lets in who holds the permission on some of them only.

    So its handlers read `visible(rows, …)`, never the bare rows. Methods that make something new are named in
    `creating`: no grant on what is there allows them.
    """

    creating: ClassVar[frozenset[str]] = frozenset()

    def check_permission(self, permission: Permission) -> None:
        """Raise `PermissionDenied` unless the caller has it in the project or, by a grant, on an object."""
        if self.request.method in self.creating:
            super().check_permission(permission)
            return
        with acting_for(self.principal.organization_id):
            require_somewhere(self.principal, permission)
