"""Who works in a project: members and groups, let in and put out together with their roles in it."""

from collections.abc import Collection
from uuid import UUID

from django.db.models import Q, QuerySet
from guardian.shortcuts import assign_perm, remove_perm

from kernel import ids
from kernel.audit.log import record
from kernel.errors import NotFound
from tenants.access.models import Group, Member, RoleAssignment, TenantUserPermission
from tenants.access.permissions import Role
from tenants.access.principal import Principal
from tenants.access.project_roles import BUILT_IN, ProjectRole, project_role_of
from tenants.access.services import roles
from tenants.access.services.roles import Assignable, BuiltIn
from tenants.organizations.models import Project

USE_PROJECT = "organizations.use_project"
_OPENAIS = frozenset[Role]().union(*BUILT_IN.values())


def members_of(project: Project) -> "QuerySet[Member]":
    """The members to whom the project is open on their own account: not by a group, not by reaching all."""
    assigned = RoleAssignment.objects.filter(project=project).exclude(member=None)
    rows: QuerySet[Member] = Member.objects.filter(
        Q(user_id__in=_opened(project).values("user_id")) | Q(pk__in=assigned.values("member_id"))
    )
    return rows.select_related("user")


def groups_of(project: Project) -> "QuerySet[Group]":
    """The groups that have a role in the project."""
    assigned = RoleAssignment.objects.filter(project=project).exclude(group=None)
    rows: QuerySet[Group] = Group.objects.filter(pk__in=assigned.values("group_id"))
    return rows


def places_of(members: Collection[Member], project: Project) -> dict[UUID, tuple[ProjectRole, int]]:
    """By member id: OpenAI's role in the project, and since when, in Unix seconds; in two queries."""
    held: dict[UUID, set[Role]] = {member.pk: set() for member in members}
    since: dict[UUID, list[int]] = {member.pk: [] for member in members}
    by_user = {member.user_id: member.pk for member in members}
    for user_id, pk in _opened(project).filter(user_id__in=by_user).values_list("user_id", "pk"):
        since[by_user[user_id]].append(ids.made_at(pk))
    assigned = RoleAssignment.objects.filter(project=project, member__in=held)
    for member_id, builtin, pk in assigned.values_list("member_id", "builtin", "pk"):
        since[member_id].append(ids.made_at(pk))
        if builtin:
            held[member_id].add(Role(builtin))
    return {
        member.pk: (project_role_of(frozenset(held[member.pk])), min(since[member.pk], default=0))
        for member in members
    }


def let_in(member: Member, project: Project, role: ProjectRole, *, by: Principal) -> None:
    """Open a project to a member in one of OpenAI's two roles, in place of the other.

    Roles that were given there one by one stay. Raises `Escalation`.
    """
    wanted = BUILT_IN[role]
    held = {
        Role(builtin)
        for builtin in RoleAssignment.objects.filter(member=member, project=project)
        .exclude(builtin="")
        .values_list("builtin", flat=True)
    }
    for one in sorted(wanted - held):
        roles.give(BuiltIn(one), to=member, by=by, project=project)
    for one in sorted((held & _OPENAIS) - wanted):
        roles.take(BuiltIn(one), of=member, by=by, project=project)
    _open(member, project)


def let_group_in(group: Group, project: Project, wanted: Collection[Assignable], *, by: Principal) -> None:
    """Open a project to a group with these roles. Raises `Escalation`."""
    for role in wanted:
        roles.give(role, to=group, by=by, project=project)
    _open(group, project)


def put_out(holder: Member | Group, project: Project, *, by: Principal) -> None:
    """Close a project to a member or group and take their roles in it. Raises `NotFound`, `Escalation`.

    What a member has by a group, or in the whole organization, stays.
    """
    inside = members_of(project) if isinstance(holder, Member) else groups_of(project)
    if not inside.filter(pk=holder.pk).exists():
        raise NotFound(f"'{holder.public_id}' is not in this project.")
    kind = "member" if isinstance(holder, Member) else "group"
    rows = RoleAssignment.objects.filter(project=project, **{kind: holder}).select_related("custom_role")
    for role in [roles.role_of(row) for row in rows]:
        roles.take(role, of=holder, by=by, project=project)
    remove_perm(USE_PROJECT, _known_to_guardian(holder), project)
    record("project.close", project.public_id, to=holder.public_id)
    roles.tell_standing_changed(holder)


def _open(holder: Member | Group, project: Project) -> None:
    assign_perm(USE_PROJECT, _known_to_guardian(holder), project)
    record("project.open", project.public_id, to=holder.public_id)
    roles.tell_standing_changed(holder)


def _known_to_guardian(holder: Member | Group) -> object:
    return holder.user if isinstance(holder, Member) else holder.auth_group


def _opened(project: Project) -> "QuerySet[TenantUserPermission]":
    codename = USE_PROJECT.partition(".")[2]
    rows: QuerySet[TenantUserPermission] = TenantUserPermission.objects.filter(
        permission__codename=codename, object_pk=str(project.pk)
    )
    return rows
