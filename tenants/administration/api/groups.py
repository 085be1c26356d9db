"""REST: groups and who is in them, in the organization and in a project."""

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kernel import ids
from kernel.api.strict import StrictSerializer
from kernel.errors import InvalidRequest, NotFound
from tenants.access.endpoint import OrganizationEndpoint, ProjectEndpoint
from tenants.access.models import Group, GroupMember, RoleAssignment
from tenants.access.permissions import Permission
from tenants.access.project_roles import BUILT_IN, ProjectRole
from tenants.access.services import groups, members, project_members, roles
from tenants.access.services.roles import Assignable, BuiltIn
from tenants.administration.api import people_shapes as shapes
from tenants.administration.api.cursors import Cut, cut_rows, next_shape
from tenants.organizations.models import Project

CUT = Cut(default=100, most=1000, least=0, orderable=True)
USERS_CUT = Cut(default=100, most=1000, least=0, order="desc", orderable=True)
PROJECT_CUT = Cut(default=20, most=100, least=0, orderable=True)
GROUPS = {"GET": Permission.GROUP_READ, "POST": Permission.GROUP_WRITE, "DELETE": Permission.GROUP_WRITE}
GROUP_TYPE = "group"


class GroupNameSerializer(StrictSerializer):
    """What a group is called."""

    name = serializers.CharField(max_length=groups.MAX_NAME_CHARACTERS)


class GroupUserChoiceSerializer(StrictSerializer):
    """Whom to add."""

    user_id = serializers.CharField(max_length=50)


class ProjectGroupChoiceSerializer(StrictSerializer):
    """Which group to let in, with which role: a role's id, or OpenAI's `owner` or `member`."""

    group_id = serializers.CharField(max_length=50)
    role = serializers.CharField(max_length=50)


class GroupUserAssignmentSerializer(serializers.Serializer[Any]):
    """Who was added to which group."""

    object = serializers.CharField()
    user_id = serializers.CharField()
    group_id = serializers.CharField()


class GroupMemberSerializer(shapes.GroupUserSerializer):
    """A member of a group, looked up alone."""

    picture = serializers.CharField(allow_null=True)
    is_service_account = serializers.BooleanField()
    user_type = serializers.CharField()


class ProjectGroupSerializer(serializers.Serializer[Any]):
    """A group that has a role in a project."""

    object = serializers.CharField()
    project_id = serializers.CharField()
    group_id = serializers.CharField()
    group_name = serializers.CharField()
    group_type = serializers.CharField()
    created_at = serializers.IntegerField()


class GroupsView(OrganizationEndpoint):
    """The organization's groups."""

    permission: ClassVar = GROUPS

    @extend_schema(parameters=CUT.parameters, responses=next_shape("GroupPage", shapes.GroupSerializer))
    def get(self, request: Request) -> Response:
        found = cut_rows(
            Group.objects.all(),
            request.query_params,
            CUT,
            prefix="group",
            show=lambda rows: [shapes.show_group(group) for group in rows],
        )
        return Response(found.by_next())

    @extend_schema(request=GroupNameSerializer, responses={200: shapes.GroupSerializer})
    def post(self, request: Request) -> Response:
        body = GroupNameSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(shapes.show_group(groups.make_group(body.validated_data["name"])))


class GroupView(OrganizationEndpoint):
    """One group."""

    permission: ClassVar = GROUPS

    @extend_schema(responses=shapes.GroupSerializer)
    def get(self, request: Request, group_id: str) -> Response:
        return Response(shapes.show_group(groups.find_group(group_id)))

    @extend_schema(request=GroupNameSerializer, responses={200: shapes.GroupSerializer})
    def post(self, request: Request, group_id: str) -> Response:
        group = groups.find_group(group_id)
        body = GroupNameSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        groups.rename_group(group, body.validated_data["name"], by=self.principal)
        return Response(shapes.show_group(group))

    @extend_schema(responses={200: shapes.DeletedSerializer})
    def delete(self, request: Request, group_id: str) -> Response:
        groups.delete_group(groups.find_group(group_id), by=self.principal)
        return Response({"object": "group.deleted", "id": group_id, "deleted": True})


class GroupUsersView(OrganizationEndpoint):
    """The members of a group."""

    permission: ClassVar = GROUPS

    @extend_schema(
        parameters=USERS_CUT.parameters, responses=next_shape("GroupUserPage", shapes.GroupUserSerializer)
    )
    def get(self, request: Request, group_id: str) -> Response:
        rows = GroupMember.objects.filter(group=groups.find_group(group_id)).select_related("member__user")
        found = cut_rows(
            rows,
            request.query_params,
            USERS_CUT,
            prefix="user",
            show=lambda some: [shapes.show_group_user(row) for row in some],
            column="member__user_id",
        )
        return Response(found.by_next())

    @extend_schema(request=GroupUserChoiceSerializer, responses={200: GroupUserAssignmentSerializer})
    def post(self, request: Request, group_id: str) -> Response:
        group = groups.find_group(group_id)
        body = GroupUserChoiceSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        member = members.find_member(body.validated_data["user_id"])
        groups.add_to_group(group, member, by=self.principal)
        return Response({"object": "group.user", "user_id": member.public_id, "group_id": group.public_id})


class GroupUserView(OrganizationEndpoint):
    """One member of a group."""

    permission: ClassVar = GROUPS

    @extend_schema(responses=GroupMemberSerializer)
    def get(self, request: Request, group_id: str, user_id: str) -> Response:
        row = (
            GroupMember.objects.filter(group=groups.find_group(group_id), member=members.find_member(user_id))
            .select_related("member__user")
            .first()
        )
        if row is None:
            raise NotFound(f"'{user_id}' is not in this group.", param="user_id")
        more = {"picture": None, "is_service_account": False, "user_type": "user"}
        return Response({**shapes.show_group_user(row), **more})

    @extend_schema(responses={200: shapes.DeletedSerializer})
    def delete(self, request: Request, group_id: str, user_id: str) -> Response:
        group = groups.find_group(group_id)
        groups.remove_from_group(group, members.find_member(user_id), by=self.principal)
        return Response({"object": "group.user.deleted", "deleted": True})


class ProjectGroupsView(ProjectEndpoint):
    """The groups that have a role in a project."""

    permission: ClassVar = GROUPS

    @extend_schema(
        parameters=PROJECT_CUT.parameters, responses=next_shape("ProjectGroupPage", ProjectGroupSerializer)
    )
    def get(self, request: Request, project_id: str) -> Response:
        project = self.project
        found = cut_rows(
            project_members.groups_of(project),
            request.query_params,
            PROJECT_CUT,
            prefix="group",
            show=lambda rows: _show_project_groups(rows, project),
        )
        return Response(found.by_next(cursor="group_id"))

    @extend_schema(request=ProjectGroupChoiceSerializer, responses={200: ProjectGroupSerializer})
    def post(self, request: Request, project_id: str) -> Response:
        project = self.project
        body = ProjectGroupChoiceSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        group = groups.find_group(body.validated_data["group_id"])
        wanted = _project_roles(body.validated_data["role"], project)
        project_members.let_group_in(group, project, wanted, by=self.principal)
        return Response(_show_project_groups([group], project)[0])


class ProjectGroupView(ProjectEndpoint):
    """One group in a project."""

    permission: ClassVar = GROUPS

    @extend_schema(
        parameters=[OpenApiParameter("group_type", str, enum=["group", "tenant_group"])],
        responses=ProjectGroupSerializer,
    )
    def get(self, request: Request, project_id: str, group_id: str) -> Response:
        project, group = self.project, groups.find_group(group_id)
        wanted = request.query_params.get("group_type", GROUP_TYPE)
        if wanted not in {GROUP_TYPE, "tenant_group"}:
            raise InvalidRequest("'group_type' must be 'group' or 'tenant_group'.", param="group_type")
        inside = project_members.groups_of(project).filter(pk=group.pk).exists()
        if not inside or wanted != GROUP_TYPE:
            raise NotFound(f"The group '{group_id}' is not in this project.", param="group_id")
        return Response(_show_project_groups([group], project)[0])

    @extend_schema(responses={200: shapes.DeletedSerializer})
    def delete(self, request: Request, project_id: str, group_id: str) -> Response:
        project_members.put_out(groups.find_group(group_id), self.project, by=self.principal)
        return Response({"object": "project.group.deleted", "deleted": True})


def _project_roles(text: str, project: Project) -> list[Assignable]:
    if text in set(ProjectRole):
        return [BuiltIn(role) for role in sorted(BUILT_IN[ProjectRole(text)])]
    return [roles.find_role(text, project=project, param="role")]


def _show_project_groups(rows: list[Group], project: Project) -> list[dict[str, Any]]:
    since: dict[Any, int] = {}
    assigned = RoleAssignment.objects.filter(project=project, group__in=rows).order_by("-pk")
    for group_id, pk in assigned.values_list("group_id", "pk"):
        since[group_id] = ids.made_at(pk)
    return [
        {
            "object": "project.group",
            "project_id": project.public_id,
            "group_id": group.public_id,
            "group_name": group.name,
            "group_type": GROUP_TYPE,
            "created_at": since[group.pk],
        }
        for group in rows
    ]
