"""What a member may do: their own roles and their groups', in the organization and in its projects."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import Q, QuerySet
from guardian.shortcuts import get_objects_for_user

from kernel.errors import NotFound
from tenants.access.models import (
    CustomRole,
    GroupMember,
    Member,
    RoleAssignment,
    TenantGroupPermission,
    TenantUserPermission,
    User,
)
from tenants.access.permissions import (
    EVERYBODY,
    MATRIX,
    NEVER_IN_A_PROJECT,
    REACHES_EVERY_PROJECT,
    Permission,
    Role,
)
from tenants.access.principal import Principal, granted
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
    """The member's standing in the current organization. One deactivated may do nothing."""
    return standings_of([member])[member.pk]


def standings_of(members: Collection[Member]) -> dict[UUID, Standing]:
    """The standings of members of the current organization by member id, in three queries for all."""
    active = {member.pk for member in members if member.deactivated_at is None}
    groups = _groups_of(active)
    assignments = RoleAssignment.objects.filter(Q(member__in=active) | Q(group__in=groups))
    rows = list(assignments.values_list("member_id", "group_id", "builtin", "custom_role_id", "project_id"))
    custom = _custom_permissions({role_id for *_, role_id, _ in rows if role_id})
    held: dict[UUID, _Held] = {member.pk: _Held() for member in members}
    for pk in active:
        held[pk].everywhere.update(EVERYBODY)
    for member_id, group_id, builtin, role_id, project_id in rows:
        role = Role(builtin) if builtin else None
        permissions = MATRIX[role] if role else custom[role_id]
        for holder in [member_id] if member_id else groups[group_id]:
            held[holder].add(role, permissions, project_id)
    return {pk: one.standing() for pk, one in held.items()}


@dataclass
class _Held:
    """What was found of one member so far."""

    roles: set[Role] = field(default_factory=set)
    everywhere: set[Permission] = field(default_factory=set)
    in_projects: dict[UUID, set[Permission]] = field(default_factory=lambda: defaultdict(set))

    def add(self, role: Role | None, permissions: Iterable[Permission], project_id: UUID | None) -> None:
        """Take in one assignment."""
        if project_id:
            self.in_projects[project_id].update(frozenset(permissions) - NEVER_IN_A_PROJECT)
            return
        self.everywhere.update(permissions)
        if role:
            self.roles.add(role)

    def standing(self) -> Standing:
        """The whole."""
        in_projects = {project_id: frozenset(found) for project_id, found in self.in_projects.items()}
        return Standing(frozenset(self.roles), frozenset(self.everywhere), in_projects)


def _groups_of(members: Collection[UUID]) -> dict[UUID, list[UUID]]:
    """The members among these in each of their groups."""
    groups: dict[UUID, list[UUID]] = defaultdict(list)
    pairs = GroupMember.objects.filter(member__in=members).values_list("group_id", "member_id")
    for group_id, member_id in pairs:
        groups[group_id].append(member_id)
    return groups


def projects_for(user: User, standing: Standing) -> list[Project]:
    """The projects of the current organization in which the person may work, oldest first."""
    projects = Project.objects.filter(archived_at=None).order_by("pk")
    if not standing.reaches_every_project:
        opened = get_objects_for_user(
            user, "organizations.use_project", Project.objects.all(), accept_global_perms=False
        )
        projects = projects.filter(Q(pk__in=opened.values("pk")) | Q(pk__in=list(standing.in_projects)))
    return list(projects)


def reachable_projects(public_ids: Collection[str], *, by: Principal) -> list[Project]:
    """The projects with these ids in which the caller may work. Raises `NotFound` for any other."""
    member = Member.objects.filter(user=by.user_id).select_related("user").first() if by.user_id else None
    reached = projects_for(member.user, standing_of(member)) if member else []
    by_id = {project.public_id: project for project in reached}
    for public_id in public_ids:
        if public_id not in by_id:
            raise NotFound(f"There is no project '{public_id[:80]}'.", param="projects")
    return [by_id[public_id] for public_id in public_ids]


def visible_projects(by: Principal) -> QuerySet[Project]:
    """The projects, archived ones too, that a caller may know of.

    Who runs the organization's projects knows all of them, any other member those that they reach.
    """
    projects: QuerySet[Project] = Project.objects.all()
    member = Member.objects.filter(user=by.user_id).first() if by.user_id else None
    if member is None or Permission.PROJECT_WRITE in by.everywhere:
        return projects
    standing = standing_of(member)
    if standing.reaches_every_project:
        return projects
    reached = opened_to([member.user_id]).get(member.user_id, set()) | set(standing.in_projects)
    return projects.filter(pk__in=reached)


def opened_to(user_ids: Collection[UUID]) -> dict[UUID, set[UUID]]:
    """The projects of the current organization that were opened to people or to groups of theirs."""
    opened: dict[UUID, set[UUID]] = defaultdict(set)
    used = {"permission__codename": "use_project", "permission__content_type__app_label": "organizations"}
    own = TenantUserPermission.objects.filter(user__in=user_ids, **used).values_list("user_id", "object_pk")
    grouped = TenantGroupPermission.objects.filter(group__user__in=user_ids, **used)
    for user_id, project_id in [*own, *grouped.values_list("group__user", "object_pk")]:
        opened[user_id].add(UUID(project_id))
    return opened


def _custom_permissions(role_ids: set[UUID]) -> dict[UUID, frozenset[Permission]]:
    if not role_ids:
        return {}
    rows = CustomRole.objects.filter(pk__in=role_ids).values_list("pk", "permissions")
    return {pk: granted(names) for pk, names in rows}
