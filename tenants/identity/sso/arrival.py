"""Who a verified statement of an identity provider is here, and their way in."""

from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from kernel import ids
from kernel.audit.log import acting_by_name, record
from tenants.access.addresses import BadAddress, LookAlikeAddress, normalise
from tenants.access.models import Group, GroupMember, Member, User
from tenants.access.permissions import Role
from tenants.access.services import groups, people
from tenants.identity.models import FederatedIdentity, IdentityProvider
from tenants.identity.sso.assertions import MAX_NAME_CHARACTERS, MAX_SUBJECT_CHARACTERS, Asserted
from tenants.identity.sso.domains import verified_names
from tenants.identity.sso.errors import refused
from tenants.identity.sso.names import domain_of
from tenants.limits.services.seats import SeatLimitReached, require_a_seat


@dataclass(frozen=True)
class Arrival:
    """The person who came in, and their membership."""

    user: User
    member: Member


def receive(provider: IdentityProvider, asserted: Asserted) -> Arrival:
    """The member whom the statement is about, in the current organization; made now where that is allowed.

    Raises `SignInRefused` with a code that says why somebody is not let in.
    """
    email = _own_address(asserted.email)
    if not 0 < len(asserted.subject) <= MAX_SUBJECT_CHARACTERS or "\0" in asserted.subject:
        raise refused("sso_bad_response")
    user = _bound(provider, asserted.subject) or _by_address(provider, asserted, email)
    if user.is_operator:
        # An organization must not be able to make itself the platform's operator.
        raise refused("sso_not_for_operators", "Operators of the platform sign in by their own factors.")
    member = _membership(provider, user)
    _bind(provider, asserted.subject, user)
    _sort_into_groups(provider, member, asserted)
    return Arrival(user, member)


def _own_address(text: str) -> str:
    """The asserted address, if its domain is one that this organization has proved to be its own."""
    try:
        email = normalise(text)
    except (BadAddress, LookAlikeAddress):
        raise refused(
            "sso_no_email", "Your identity provider tells no usable e-mail address of you."
        ) from None
    if domain_of(email) not in verified_names():
        raise refused(
            "sso_foreign_domain",
            "Your identity provider vouches for an address outside your organization's verified domains.",
        )
    return email


def _bound(provider: IdentityProvider, subject: str) -> User | None:
    found: FederatedIdentity | None = (
        FederatedIdentity.objects.filter(provider=provider, subject=subject).select_related("user").first()
    )
    return found.user if found else None


def _by_address(provider: IdentityProvider, asserted: Asserted, email: str) -> User:
    """The person with the address. The organization owns its domain, so that it may say who that is."""
    user = User.objects.filter(email=email).first()
    if user is not None:
        known = FederatedIdentity.objects.filter(provider=provider, user=user)
        # By this name another tab may have bound them a moment ago.
        if known.exclude(subject=asserted.subject).exists():
            raise refused(
                "sso_subject_changed",
                "This address belongs to somebody whom your identity provider knew by another name. An "
                "administrator can unbind them.",
            )
        return user
    if not provider.just_in_time:
        raise _no_member()
    return new_person(email, asserted.name)


def new_person(email: str, name: str) -> User:
    """A person without a password, whose address the organization vouches for."""
    user = User(email=email, name=name.replace("\0", "")[:MAX_NAME_CHARACTERS])
    user.set_unusable_password()
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError:
        # The same person, in another tab or by the directory, was a moment faster.
        return User.objects.get(email=email)
    return user


def _membership(provider: IdentityProvider, user: User) -> Member:
    member = _member_of(user)
    if not user.is_active or (member is not None and member.deactivated_at is not None):
        raise refused(
            "sso_deactivated", "Your access to this organization was ended. Ask your administrator."
        )
    if member is not None:
        return member
    if not provider.just_in_time:
        raise _no_member()
    try:
        # Locks the organization: what another tab has done meanwhile is seen after it.
        require_a_seat()
        member = _member_of(user)
    except SeatLimitReached:
        raise refused(
            "sso_no_seat", "All seats of your organization are taken. Ask your administrator."
        ) from None
    if member is not None:
        return member
    with acting_by_name(provider.public_id):
        return people.add_member(user, Role(provider.default_role))


def _member_of(user: User) -> Member | None:
    found: Member | None = Member.objects.filter(user=user).first()
    return found


def _bind(provider: IdentityProvider, subject: str, user: User) -> None:
    found, made = FederatedIdentity.objects.get_or_create(
        provider=provider, subject=subject, defaults={"user": user}
    )
    if made:
        record("sso.bind", user.public_id, provider=provider.public_id)
    else:
        FederatedIdentity.objects.filter(pk=found.pk).update(last_used_at=Now())


def _sort_into_groups(provider: IdentityProvider, member: Member, asserted: Asserted) -> None:
    """Put the member into exactly those of the mapped groups that the provider names."""
    if not provider.group_map:
        return
    named = {provider.group_map[value] for value in asserted.groups if value in provider.group_map}
    wanted = {public_id: _group(public_id) for public_id in set(provider.group_map.values())}
    inside = set(GroupMember.objects.filter(member=member).values_list("group_id", flat=True))
    with acting_by_name(provider.public_id):
        for public_id, group in wanted.items():
            if group is None or group.scim_managed:
                continue
            if public_id in named and group.pk not in inside:
                groups.add_to_group(group, member, by=None)
            elif public_id not in named and group.pk in inside:
                groups.remove_from_group(group, member, by=None)


def _group(public_id: str) -> Group | None:
    found: Group | None = Group.objects.filter(pk=ids.parse("group", public_id)).first()
    return found


def _no_member() -> Exception:
    return refused(
        "sso_not_a_member", "You are no member of this organization. Ask its administrator to add you."
    )
