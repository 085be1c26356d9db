"""Members: what they become, how they leave, and how an organization is handed over."""

from collections.abc import Collection

from django.db import transaction
from django.db.models.functions import Now

from kernel import ids
from kernel.audit.log import record
from kernel.errors import InvalidRequest, NotFound
from tenants.access.delegation import require_may_hand_out
from tenants.access.models import ApiKey, Member, RoleAssignment
from tenants.access.permissions import Permission, Role
from tenants.access.principal import Principal
from tenants.access.services import grants, groups, keys, people, roles
from tenants.access.services.roles import Assignable, BuiltIn
from tenants.access.standing import standing_of
from tenants.limits.services.seats import require_a_seat


def find_member(public_id: str, *, param: str | None = "user_id") -> Member:
    """The member of the current organization with this id (`user-…`). Raises `NotFound`."""
    user_id = ids.parse("user", public_id, param=param)
    member: Member | None = Member.objects.filter(user_id=user_id).select_related("user").first()
    if member is None:
        raise NotFound(f"There is no member '{public_id}'.", param=param)
    return member


@transaction.atomic
def set_roles(member: Member, wanted: Collection[Assignable], *, by: Principal) -> None:
    """Let a member have exactly these roles of their own in the whole organization.

    Raises `Escalation` for a role, given or taken, that allows more than the caller may; `LastOwner`.
    """
    roles.lock_organization()
    rows = RoleAssignment.objects.filter(member=member, project=None).select_related("custom_role")
    before = [roles.role_of(row) for row in rows]
    # First what is given: who hands ownership on within one change leaves the organization an owner.
    for role in wanted:
        if role not in before:
            roles.give(role, to=member, by=by)
    for role in before:
        if role not in wanted:
            roles.take(role, of=member, by=by)


@transaction.atomic
def remove_member(member: Member, *, by: Principal | None) -> None:
    """End a membership: roles, groups, grants and the member's API keys go, their work stays.

    Without `by` the identity provider asks. Raises `LastOwner`, `Escalation` for a member who may do more
    than the caller.
    """
    _prepare_to_end(member, by)
    groups.leave_all_groups(member)
    grants.forget_grants_of(member)
    _revoke_keys_of(member, by)
    record("member.remove", member.public_id)
    people.tell("tenants.member.removed.v1", member)
    member.delete()
    roles.require_an_owner()
    roles.tell_standing_changed(member)


@transaction.atomic
def deactivate_member(member: Member, *, by: Principal | None) -> None:
    """Shut a member out and keep their roles for their return; their API keys are revoked for good.

    Raises what `remove_member` raises. Twice is once.
    """
    _prepare_to_end(member, by)
    changed = Member.objects.filter(pk=member.pk, deactivated_at=None).update(deactivated_at=Now())
    if not changed:
        return
    roles.require_an_owner()
    member.refresh_from_db(fields=["deactivated_at"])
    _revoke_keys_of(member, by)
    record("member.deactivate", member.public_id)
    people.tell("tenants.member.deactivated.v1", member)
    roles.tell_standing_changed(member)


@transaction.atomic
def reactivate_member(member: Member, *, by: Principal | None) -> None:
    """Let a deactivated member in again, with the roles they had. Raises `SeatLimitReached`, `Escalation`."""
    roles.lock_organization()
    if not Member.objects.filter(pk=member.pk).exclude(deactivated_at=None).exists():
        return
    require_a_seat()
    Member.objects.filter(pk=member.pk).update(deactivated_at=None)
    member.refresh_from_db(fields=["deactivated_at"])
    _require_no_more_than(member, by)
    record("member.reactivate", member.public_id)
    people.tell("tenants.member.reactivated.v1", member)
    roles.tell_standing_changed(member)


@transaction.atomic
def transfer_ownership(to: Member, *, by: Principal) -> None:
    """Make another member the owner; the caller stays as an admin.

    Raises `InvalidRequest` for a receiver who is the caller or deactivated, `PermissionDenied` for a caller
    who does not own the organization by a role of their own.
    """
    by.must_everywhere(Permission.ORGANIZATION_OWN)
    roles.lock_organization()
    if to.user_id == by.user_id:
        raise InvalidRequest("You own the organization already: name another member.", param="user_id")
    if not Member.objects.filter(pk=to.pk, deactivated_at=None).exists():
        raise InvalidRequest("A deactivated member cannot own the organization.", param="user_id")
    giver: Member = Member.objects.get(user_id=by.user_id)
    roles.assign(BuiltIn(Role.OWNER), to=to)
    roles.assign(BuiltIn(Role.ADMIN), to=giver)
    roles.unassign(BuiltIn(Role.OWNER), of=giver)
    record("organization.transfer", to.public_id, before=giver.public_id, after=to.public_id)


def _prepare_to_end(member: Member, by: Principal | None) -> None:
    roles.lock_organization()
    _require_no_more_than(member, by)


def _require_no_more_than(member: Member, by: Principal | None) -> None:
    """Nobody ends or revives a membership that may do more than they may."""
    if by is not None:
        require_may_hand_out(by, standing_of(member).everywhere)


def _revoke_keys_of(member: Member, by: Principal | None) -> None:
    """The keys that the member made for themselves; those of service accounts go on working."""
    system = Principal(member.organization_id, None, frozenset())
    mine = ApiKey.objects.select_for_update().filter(
        created_by_id=member.user_id, service_account=None, revoked_at=None
    )
    for key in mine:
        keys.revoke_api_key(key, by or system)
