"""What a member may do: their own roles and their groups', in the organization and in its projects."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q
from guardian.shortcuts import get_objects_for_user

from tenants.access.models import CustomRole, GroupMember, Member, RoleAssignment, User
from tenants.access.permissions import EVERYBODY, MATRIX, REACHES_EVERY_PROJECT, Permission, Role
from tenants.access.principal import granted
from tenants.organizations.models import Project


@dataclass(frozen=True)
class Standing:
    """A member's roles and what follows from them. `roles` are the built-in ones in the organization."""

    roles: frozenset[Role]
    everywhere: frozenset[Permission]
    in_projects: Mapping[UUID, frozenset[Permission]]

    @property
    def reaches_every_project(self) -> bool:
        """Whether projects need not be opened to the member."""
        return bool(self.roles & REACHES_EVERY_PROJECT)

    @property
    def role(self) -> Role | None:
        """The foremost built-in role, for a person to read."""
        return next((role for role in Role if role in self.roles), None)

    def permissions_in(self, project_id: UUID | None) -> frozenset[Permission]:
        """What the member may do in a project; with none, in the organization."""
        if project_id is None:
            return self.everywhere
        return self.everywhere | self.in_projects.get(project_id, frozenset())


def standing_of(member: Member) -> Standing:
    """The member's standing in the current organization, in two queries. One deactivated may do nothing."""
    if member.deactivated_at is not None:
        return Standing(frozenset(), frozenset(), {})
    groups = GroupMember.objects.filter(member=member).values("group_id")
    assignments = RoleAssignment.objects.filter(Q(member=member) | Q(group_id__in=groups))
    rows = list(assignments.values_list("builtin", "custom_role_id", "project_id"))
    custom = _custom_permissions({role_id for _, role_id, _ in rows if role_id})
    everywhere: set[Permission] = set(EVERYBODY)
    in_projects: dict[UUID, set[Permission]] = defaultdict(set)
    for builtin, role_id, project_id in rows:
        permissions = MATRIX[Role(builtin)] if builtin else custom[role_id]
        (in_projects[project_id] if project_id else everywhere).update(permissions)
    return Standing(
        roles=frozenset(Role(builtin) for builtin, _, project_id in rows if builtin and not project_id),
        everywhere=frozenset(everywhere),
        in_projects={project_id: frozenset(found) for project_id, found in in_projects.items()},
    )


def projects_for(user: User, standing: Standing) -> list[Project]:
    """The projects of the current organization in which the person may work, oldest first."""
    projects = Project.objects.filter(archived_at=None).order_by("pk")
    if not standing.reaches_every_project:
        opened = get_objects_for_user(
            user, "organizations.use_project", Project.objects.all(), accept_global_perms=False
        )
        projects = projects.filter(Q(pk__in=opened.values("pk")) | Q(pk__in=list(standing.in_projects)))
    return list(projects)


def _custom_permissions(role_ids: set[UUID]) -> dict[UUID, frozenset[Permission]]:
    if not role_ids:
        return {}
    rows = CustomRole.objects.filter(pk__in=role_ids).values_list("pk", "permissions")
    return {pk: granted(names) for pk, names in rows}
