"""How the platform's operator looks into an organization that consented: reading only, and recorded."""

from uuid import UUID

from django.contrib.sessions.backends.base import SessionBase

from kernel.errors import PermissionDenied
from kernel.tenancy.scope import acting_for
from tenants.access.models import User
from tenants.access.permissions import IN_AN_ORGANIZATION, Permission
from tenants.access.principal import Principal
from tenants.organizations.models import Project
from tenants.organizations.services import support

# The organization that an operator looks into, in their session.
SUPPORT_KEY = "support_organization_id"
# How the organization is run: no file, no conversation, nothing that changes anything.
SUPPORT_PERMISSIONS = frozenset(
    permission for permission in IN_AN_ORGANIZATION if permission.endswith(".read")
) - {Permission.FILE_READ}


def enter(session: SessionBase, organization_id: UUID) -> None:
    """Look into an organization from now on. Raises `PermissionDenied` without its consent."""
    with acting_for(organization_id):
        if not support.in_force().exists():
            raise PermissionDenied(
                "This organization has not consented to support access, or its consent has ended.",
                code="no_support_access",
            )
    session[SUPPORT_KEY] = str(organization_id)


def leave(session: SessionBase) -> None:
    """Be oneself again."""
    session.pop(SUPPORT_KEY, None)


def principal_of_support(user: User, session: SessionBase) -> Principal | None:
    """The operator as a reader of the organization they entered; None where they entered none.

    Raises `PermissionDenied` once the consent has ended or was withdrawn.
    """
    entered = session.get(SUPPORT_KEY)
    if not entered or not user.is_operator:
        return None
    organization_id = UUID(entered)
    with acting_for(organization_id):
        access = support.in_force().first()
        project = Project.objects.order_by("pk").first()
    if access is None:
        raise PermissionDenied(
            "The organization's consent to support access has ended; leave it.", code="no_support_access"
        )
    return Principal(
        organization_id=organization_id,
        project=project.pk if project else None,
        permissions=SUPPORT_PERMISSIONS,
        everywhere=SUPPORT_PERMISSIONS,
        user_id=user.pk,
        support_access=access.pk,
    )
