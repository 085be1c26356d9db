"""What a browser session stands for: a person, and the organization and project they have chosen."""

from dataclasses import dataclass
from uuid import UUID

from guardian.shortcuts import get_objects_for_user

from kernel.tenancy.scope import across_tenants, acting_for
from tenants.access.models import Member, User
from tenants.access.permissions import MATRIX, Role
from tenants.access.principal import Principal
from tenants.organizations.models import Organization, Project

ORGANIZATION_KEY = "organization_id"
PROJECT_KEY = "project_id"


@dataclass(frozen=True)
class Membership:
    """One organization that a person belongs to."""

    organization_id: UUID
    name: str
    role: Role


def memberships_of(user: User) -> list[Membership]:
    """Every organization of a person, oldest membership first."""
    with across_tenants():
        members = list(Member.objects.filter(user=user).order_by("pk"))
        names = dict(
            Organization.objects.filter(pk__in=[m.organization_id for m in members]).values_list("pk", "name")
        )
    return [Membership(m.organization_id, names[m.organization_id], Role(m.role)) for m in members]


def projects_for(user: User, role: Role) -> list[Project]:
    """The projects of the current organization that the person may work in, oldest first."""
    projects = Project.objects.order_by("pk")
    if role is not Role.OWNER:
        allowed = get_objects_for_user(
            user, "organizations.use_project", Project.objects.all(), accept_global_perms=False
        )
        projects = projects.filter(pk__in=[project.pk for project in allowed])
    return list(projects)


def principal_for(
    user: User, chosen_organization: str | None, chosen_project: str | None
) -> Principal | None:
    """The caller that a session stands for; a choice that is no longer allowed falls back to the first.

    None when the person belongs to no organization or may work in no project.
    """
    memberships = memberships_of(user)
    membership = next(
        (m for m in memberships if str(m.organization_id) == chosen_organization),
        memberships[0] if memberships else None,
    )
    if membership is None:
        return None
    with acting_for(membership.organization_id):
        projects = projects_for(user, membership.role)
    project = next((p for p in projects if str(p.pk) == chosen_project), projects[0] if projects else None)
    if project is None:
        return None
    return Principal(
        organization_id=membership.organization_id,
        project_id=project.pk,
        permissions=MATRIX[membership.role],
        user_id=user.pk,
    )
