"""What a caller may hand out to others: never more than they hold."""

from collections.abc import Iterable
from uuid import UUID

from kernel.errors import PermissionDenied
from tenants.access.permissions import EVERYBODY, NEVER_IN_A_PROJECT, WORK, Permission
from tenants.access.principal import Principal


class Escalation(PermissionDenied):
    """Somebody would get, or lose, what the caller does not hold."""

    code = "escalation"


def handed_out_by(principal: Principal, project_id: UUID | None = None) -> frozenset[Permission]:
    """What the caller may give and take, in the whole organization or in one project.

    A person hands out what they hold there. An administration key does no work in projects and is there to
    staff them, so it hands out that work besides what it holds; what it cannot hold it cannot give.
    """
    held = principal.everywhere if project_id is None else principal.permissions_in(project_id)
    if principal.key_id is not None and principal.project is None:
        held |= WORK
    return held | EVERYBODY


def require_may_hand_out(
    principal: Principal, permissions: Iterable[Permission], *, project_id: UUID | None = None
) -> None:
    """Raises `Escalation` unless the caller may give and take all of these there."""
    wanted = frozenset(permissions)
    if project_id is not None:
        wanted -= NEVER_IN_A_PROJECT
    if beyond := wanted - handed_out_by(principal, project_id):
        raise Escalation(
            f"This gives or takes permissions that you do not have yourself: {', '.join(sorted(beyond))}."
        )
