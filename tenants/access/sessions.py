"""What a browser session stands for: a person, and the organization and project they have chosen."""

from dataclasses import dataclass
from uuid import UUID

from kernel.errors import DomainError
from kernel.tenancy.scope import across_tenants, acting_for
from tenants.access.assurance import has_factor
from tenants.access.models import Member, User
from tenants.access.principal import Principal
from tenants.access.proofs import OWN, Proof, opens
from tenants.access.standing import projects_for, standing_of
from tenants.organizations.models import Organization, OrganizationState
from tenants.organizations.refusals import OwnKeyRefused, refusal_in

ORGANIZATION_KEY = "organization_id"
PROJECT_KEY = "project_id"


@dataclass(frozen=True)
class Membership:
    """One organization that a person belongs to."""

    organization_id: UUID
    name: str
    state: OrganizationState
    requires_sso: bool = False
    requires_factor: bool = False
    state_reason: str = ""
    key_refused: bool = False


def memberships_of(user: User) -> list[Membership]:
    """Every organization in which a person is active and that still exists, oldest membership first."""
    with across_tenants():
        members = list(Member.objects.filter(user=user, deactivated_at=None).order_by("pk"))
        found = {
            pk: (name, OrganizationState(state), requires_sso, requires_factor, reason, since is not None)
            for pk, name, state, requires_sso, requires_factor, reason, since in Organization.objects.filter(
                pk__in=[m.organization_id for m in members]
            )
            .exclude(state=OrganizationState.CLOSED)
            .values_list(
                "pk", "name", "state", "require_sso", "require_mfa", "state_reason", "key_refused_at"
            )
        }
    return [
        Membership(m.organization_id, *found[m.organization_id])
        for m in members
        if m.organization_id in found
    ]


def is_member_anywhere(user_id: UUID) -> bool:
    """Whether any organization has the person, deactivated or not."""
    with across_tenants():
        return bool(Member.objects.filter(user_id=user_id).exists())


def memberships_open_to(user: User, proof: Proof) -> list[Membership]:
    """Those of the person's organizations that the session's proof of identity opens."""
    return [
        membership
        for membership in memberships_of(user)
        if opens(proof, user, membership.organization_id, requires_sso=membership.requires_sso)
    ]


def principal_for(
    user: User, chosen_organization: str | None, chosen_project: str | None, proof: Proof = OWN
) -> Principal | None:
    """The caller that a session stands for; a choice that is no longer allowed falls back to the first.

    None when the proof opens no organization to the person.
    """
    memberships = memberships_open_to(user, proof)
    membership = next(
        (m for m in memberships if str(m.organization_id) == chosen_organization),
        memberships[0] if memberships else None,
    )
    if membership is None:
        return None
    with acting_for(membership.organization_id):
        member = Member.objects.filter(user=user).first()
        if member is None:
            return None
        standing = standing_of(member)
        projects = projects_for(user, standing)
    project = next((p for p in projects if str(p.pk) == chosen_project), projects[0] if projects else None)
    return Principal(
        organization_id=membership.organization_id,
        project=project.pk if project else None,
        permissions=standing.permissions_in(project.pk if project else None),
        everywhere=standing.everywhere,
        in_projects=standing.in_projects,
        user_id=user.pk,
        lacks_factor=_lacks_factor(user, membership, proof),
        refusal=_refusal(membership),
    )


def _refusal(membership: Membership) -> DomainError | None:
    refusal = refusal_in(membership.state, membership.state_reason)
    return OwnKeyRefused() if refusal is None and membership.key_refused else refusal


def _lacks_factor(user: User, membership: Membership, proof: Proof) -> bool:
    # An identity provider that the organization chose asks for what the organization wants.
    if not membership.requires_factor or membership.organization_id in proof.vouched_by:
        return False
    return not has_factor(user)
