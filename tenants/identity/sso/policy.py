"""Required single sign-on: whom it holds for, and who is excepted for the day it breaks."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet

from kernel.audit.log import record
from kernel.errors import Conflict, InvalidRequest
from kernel.ids import render
from kernel.tenancy.scope import acting_for, current_organization_id
from tenants.access.models import Member, RoleAssignment, User
from tenants.access.permissions import Role
from tenants.access.services import roles
from tenants.identity.models import BreakGlass, IdentityProvider
from tenants.identity.sso.domains import verified_names
from tenants.identity.sso.names import domain_of
from tenants.organizations.models import Organization


class NotReady(Conflict):
    """Requiring single sign-on now would lock everybody out."""

    code = "sso_not_ready"
    message = "Verify a domain and set up an active identity provider before requiring single sign-on."


@dataclass(frozen=True)
class Policy:
    """Whether single sign-on is required, and which owners may do without (as `user-…`)."""

    require_sso: bool
    break_glass: tuple[str, ...]


def policy() -> Policy:
    """The current organization's."""
    excepted = BreakGlass.objects.order_by("pk").values_list("member__user_id", flat=True)
    return Policy(
        Organization.objects.get(pk=current_organization_id()).require_sso,
        tuple(render("user", user_id) for user_id in excepted),
    )


def set_policy(*, require_sso: bool, break_glass: Collection[UUID]) -> Policy:
    """Require single sign-on or no longer; `break_glass` are the ids of owners who are excepted.

    Takes effect at once: sessions made otherwise lose the organization. Raises `NotReady`, `InvalidRequest`
    for somebody who is no owner.
    """
    roles.lock_organization()
    before = policy()
    ready = verified_names() and IdentityProvider.objects.filter(is_active=True).exists()
    if require_sso and not ready:
        raise NotReady
    members = [_owner(user_id) for user_id in dict.fromkeys(break_glass)]
    Organization.objects.filter(pk=current_organization_id()).update(require_sso=require_sso)
    BreakGlass.objects.exclude(member__in=members).delete()
    for member in members:
        BreakGlass.objects.get_or_create(member=member)
    after = policy()
    record(
        "sso.policy.update",
        render("org", current_organization_id()),
        before={"require_sso": before.require_sso, "break_glass": list(before.break_glass)},
        after={"require_sso": after.require_sso, "break_glass": list(after.break_glass)},
    )
    roles.tell_standing_changed()
    return after


def must_come_by_sso(user: User, organization_id: UUID) -> bool:
    """Whether the person must use the provider of this organization, which requires single sign-on.

    It holds for people of its verified domains; guests from elsewhere cannot use its provider. Owners who are
    excepted must still own it.
    """
    with acting_for(organization_id):
        if domain_of(user.email) not in verified_names():
            return False
        excepted = BreakGlass.objects.filter(member__user=user).values("member_id")
        return not _ownerships().filter(member_id__in=excepted).exists()


def _owner(user_id: UUID) -> Member:
    member: Member | None = Member.objects.filter(user_id=user_id).first()
    if member is None or not _ownerships().filter(member=member).exists():
        raise InvalidRequest(
            f"'{render('user', user_id)}' does not own the organization; only owners can be excepted.",
            param="break_glass",
        )
    return member


def _ownerships() -> QuerySet[RoleAssignment]:
    return RoleAssignment.objects.filter(builtin=Role.OWNER.value, project=None, member__deactivated_at=None)
