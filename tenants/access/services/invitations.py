"""Invitations: an e-mail lets its receiver join, once and until it expires."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.db.models import Case, Q, QuerySet, Value, When
from django.db.models.functions import Now
from django.utils.http import urlencode

from kernel.audit.log import record
from kernel.errors import Conflict, NotFound, PermissionDenied
from kernel.events.outbox import Happening, emit
from kernel.tenancy.scope import acting_for
from tenants.access.addresses import normalise
from tenants.access.delegation import require_may_hand_out
from tenants.access.models import Invitation, Member, User
from tenants.access.permissions import Role
from tenants.access.principal import Principal
from tenants.access.project_roles import BUILT_IN, ProjectRole
from tenants.access.services import people, roles
from tenants.access.services.roles import BuiltIn
from tenants.limits.services.seats import require_a_seat
from tenants.organizations.models import Organization, OrganizationState, Project

LIFETIME = timedelta(days=7)
PAGE = "/accounts/invitation"
CREATED = "tenants.invitation.created.v1"
_SALT, _SEPARATOR = "tenants.access.invitation", "~"


class InvitationUnknown(NotFound):
    """There is no such invitation, or it was withdrawn or replaced."""

    code = "invitation_unknown"
    message = "This invitation does not exist any more: ask for a new one."


class InvitationUsed(Conflict):
    """An invitation lets one person in, once."""

    code = "invitation_used"
    message = "This invitation has been accepted already: sign in."


class InvitationExpired(Conflict):
    """An invitation does not last for ever."""

    code = "invitation_expired"
    message = "This invitation has expired: ask for a new one."


class InvitationForAnother(PermissionDenied):
    """The person's address is not the invited one."""

    code = "invitation_for_another_address"
    message = "This invitation was sent to another address: sign in with that one, or ask for a new one."


class AlreadyMember(Conflict):
    """The person belongs to the organization."""

    code = "already_member"
    message = "This person is a member of the organization already."


class MemberDeactivated(Conflict):
    """The person was shut out; whoever did so lets them in again."""

    code = "member_deactivated"
    message = "This person is a deactivated member: activate them again where they were deactivated."


class OrganizationNotOpen(Conflict):
    """The organization is suspended, or being closed."""

    code = "organization_not_active"
    message = "This organization does not take in members at the moment."


@dataclass(frozen=True)
class Invited:
    """What an invitation says to its receiver."""

    organization_id: UUID
    organization_name: str
    email: str
    role: Role | None
    expires_at: datetime


def invite(
    email: str,
    role: Role | None,
    places: Mapping[UUID, ProjectRole] | None = None,
    *,
    by: Principal,
) -> Invitation:
    """Invite an address to the current organization, in place of an open invitation to it.

    `role` holds in the whole organization; `places` are projects by id, the oldest one unless told. Raises
    `BadAddress`, `AlreadyMember`, `MemberDeactivated`, `Escalation`, `NotFound` for a project,
    `SeatLimitReached`.
    """
    address = normalise(email)
    roles.lock_organization()
    projects = _projects(places)
    _require_may_invite(role, projects, by)
    _require_no_member(Member.objects.filter(user__email=address).first())
    require_a_seat()
    Invitation.objects.filter(email=address, accepted_at=None).delete()
    invitation: Invitation = Invitation.objects.create(
        email=address,
        builtin=role.value if role else "",
        projects=[{"id": str(project.pk), "role": place.value} for project, place in projects],
        nonce=secrets.token_urlsafe(32),
        created_by=people.person_of(by),
        expires_at=Now() + LIFETIME,
    )
    record(
        "invitation.create",
        invitation.public_id,
        role=role.value if role else None,
        projects={project.public_id: place.value for project, place in projects},
    )
    tell(CREATED, invitation)
    return invitations().get(pk=invitation.pk)


def withdraw(invitation: Invitation) -> None:
    """End an open invitation: its link opens nothing. Raises `InvitationUsed`."""
    deleted, _ = Invitation.objects.filter(pk=invitation.pk, accepted_at=None).delete()
    if not deleted:
        raise InvitationUsed("The invitation has been accepted: remove the member instead.")
    record("invitation.delete", invitation.public_id)
    tell("tenants.invitation.deleted.v1", invitation)


def invitations() -> "QuerySet[Invitation]":
    """The organization's invitations, each with its `status` in OpenAI's words by the database's clock."""
    status = Case(
        When(~Q(accepted_at=None), then=Value("accepted")),
        When(expires_at__lte=Now(), then=Value("expired")),
        default=Value("pending"),
    )
    rows: Any = Invitation.objects.annotate(status=status)
    annotated: QuerySet[Invitation] = rows
    return annotated


def pending(invitation_id: UUID) -> Invitation | None:
    """The invitation with this id, if it is still to be accepted."""
    rows: Any = invitations()
    found: Invitation | None = rows.filter(pk=invitation_id, status="pending").first()
    return found


def token_of(invitation: Invitation) -> str:
    """What the invitation's link carries; made anew from the row each time, stored nowhere."""
    parts = (invitation.organization_id.hex, invitation.pk.hex, invitation.nonce)
    return Signer(salt=_SALT, sep=_SEPARATOR).sign(".".join(parts))


def link_of(invitation: Invitation) -> str:
    """The address of the page on which the invitation is accepted."""
    return f"{settings.PUBLIC_URL}{PAGE}?{urlencode({'token': token_of(invitation)})}"


def look_up(token: str) -> Invited:
    """What an open invitation says, for the page that asks to accept it.

    Raises `InvitationUnknown`, `InvitationUsed`, `InvitationExpired`, `OrganizationNotOpen`.
    """
    organization_id, invitation_id, nonce = _read(token)
    with acting_for(organization_id):
        organization = _open_organization(organization_id)
        invitation = _open_invitation(invitations(), invitation_id, nonce)
        return Invited(
            organization_id=organization_id,
            organization_name=organization.name,
            email=invitation.email,
            role=Role(invitation.builtin) if invitation.builtin else None,
            expires_at=invitation.expires_at,
        )


def accept(token: str, user: User) -> Member:
    """Make the person a member as the invitation says. Opens the organization's scope itself.

    The person's address must be the invited one; holding the token proves that they read its mail. Raises
    what `look_up` raises, `InvitationForAnother`, `AlreadyMember`, `MemberDeactivated`, `SeatLimitReached`.
    """
    organization_id, invitation_id, nonce = _read(token)
    with acting_for(organization_id):
        roles.lock_organization()
        _open_organization(organization_id)
        locked = invitations().select_for_update(of=("self",))
        invitation = _open_invitation(locked, invitation_id, nonce)
        if user.email != invitation.email:
            raise InvitationForAnother
        member = _join(user, invitation)
        Invitation.objects.filter(pk=invitation.pk).update(accepted_at=Now(), accepted_by=user)
        record("invitation.accept", invitation.public_id, member=member.public_id)
        tell("tenants.invitation.accepted.v1", invitation)
    return member


def tell(name: str, invitation: Invitation) -> None:
    """Say what happened to an invitation; its address and its token are not in the event."""
    emit(
        Happening(
            name=name,
            aggregate_id=invitation.pk,
            resource="invitation",
            resource_id=invitation.public_id,
        )
    )


def _projects(places: Mapping[UUID, ProjectRole] | None) -> Sequence[tuple[Project, ProjectRole]]:
    active = Project.objects.filter(archived_at=None)
    if places is None:
        oldest = active.order_by("pk").first()
        return [(oldest, ProjectRole.MEMBER)] if oldest else []
    found = {project.pk: project for project in active.filter(pk__in=list(places))}
    if missing := places.keys() - found.keys():
        raise NotFound(f"There is no project 'proj_{next(iter(missing)).hex}'.", param="projects")
    return [(found[project_id], place) for project_id, place in places.items()]


def _require_may_invite(
    role: Role | None, projects: Sequence[tuple[Project, ProjectRole]], by: Principal
) -> None:
    if role is not None:
        require_may_hand_out(by, roles.permissions_of(BuiltIn(role)))
    for project, place in projects:
        for one in BUILT_IN[place]:
            require_may_hand_out(by, roles.permissions_of(BuiltIn(one)), project_id=project.pk)


def _require_no_member(member: Member | None) -> None:
    if member is not None:
        raise (
            AlreadyMember(param="email")
            if member.deactivated_at is None
            else MemberDeactivated(param="email")
        )


def _join(user: User, invitation: Invitation) -> Member:
    _require_no_member(Member.objects.filter(user=user).first())
    require_a_seat()
    member = people.add_member(user)
    if invitation.builtin:
        roles.assign(BuiltIn(Role(invitation.builtin)), to=member)
    _open_projects(member, user, invitation.projects)
    roles.tell_standing_changed(member)
    return member


def _open_projects(member: Member, user: User, places: list[dict[str, Any]]) -> None:
    """A project that was archived since is passed over."""
    found = {str(project.pk): project for project in Project.objects.filter(archived_at=None)}
    for place in places:
        project = found.get(place["id"])
        if project is None:
            continue
        for role in sorted(BUILT_IN[ProjectRole(place["role"])]):
            roles.assign(BuiltIn(role), to=member, project=project)
        people.open_project_to(user, project)


def _open_organization(organization_id: UUID) -> Organization:
    organization = Organization.objects.filter(pk=organization_id).first()
    if organization is None:
        raise InvitationUnknown
    if organization.state != OrganizationState.ACTIVE:
        raise OrganizationNotOpen
    return organization


def _open_invitation(rows: "QuerySet[Invitation]", invitation_id: UUID, nonce: str) -> Invitation:
    invitation: Any = rows.filter(pk=invitation_id).first()
    if invitation is None or not secrets.compare_digest(invitation.nonce, nonce):
        raise InvitationUnknown
    if invitation.status == "accepted":
        raise InvitationUsed
    if invitation.status == "expired":
        raise InvitationExpired
    found: Invitation = invitation
    return found


def _read(token: str) -> tuple[UUID, UUID, str]:
    """The parts of a token that this platform signed."""
    try:
        organization, invitation, nonce = Signer(salt=_SALT, sep=_SEPARATOR).unsign(token).split(".")
        return UUID(hex=organization), UUID(hex=invitation), nonce
    except (BadSignature, ValueError):
        raise InvitationUnknown from None
