"""REST: which roles members and groups have, in the organization and in a project."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kernel.api.strict import StrictSerializer
from kernel.errors import NotFound
from tenants.access.endpoint import Endpoint, OrganizationEndpoint, ProjectEndpoint
from tenants.access.models import CustomRole, Group, GroupMember, Member, RoleAssignment
from tenants.access.permissions import Permission
from tenants.access.services import groups, members, roles
from tenants.administration.api import people_shapes as shapes
from tenants.administration.api.cursors import Cut, cut_items, next_shape
from tenants.organizations.models import Project

CUT = Cut(default=1000, most=1000, least=0, orderable=True)
READ_AND_WRITE = {
    "GET": Permission.ROLE_READ,
    "POST": Permission.ROLE_WRITE,
    "DELETE": Permission.ROLE_WRITE,
}


class RoleChoiceSerializer(StrictSerializer):
    """The role to assign."""

    role_id = serializers.CharField(max_length=50)


class SourceSerializer(serializers.Serializer[Any]):
    """From whom a role comes."""

    principal_id = serializers.CharField()
    principal_type = serializers.CharField()


class AssignedRoleSerializer(serializers.Serializer[Any]):
    """A role that somebody has; `assignment_sources` names the groups by which, if not their own."""

    id = serializers.CharField()
    name = serializers.CharField()
    permissions = serializers.ListField(child=serializers.CharField())
    resource_type = serializers.CharField()
    predefined_role = serializers.BooleanField()
    description = serializers.CharField(allow_null=True)
    created_at = serializers.IntegerField(allow_null=True)
    updated_at = serializers.IntegerField(allow_null=True)
    created_by = serializers.CharField(allow_null=True)
    created_by_user_obj = serializers.DictField(allow_null=True)
    metadata = serializers.DictField(allow_null=True)
    assignment_sources = SourceSerializer(many=True, allow_null=True)


class GroupSummarySerializer(serializers.Serializer[Any]):
    """A group, where one of its roles is shown."""

    object = serializers.CharField()
    id = serializers.CharField()
    name = serializers.CharField()
    created_at = serializers.IntegerField()
    scim_managed = serializers.BooleanField()


class UserRoleAssignmentSerializer(serializers.Serializer[Any]):
    """A role of a member."""

    object = serializers.CharField()
    user = shapes.UserSerializer()
    role = shapes.AssignableRoleSerializer()


class GroupRoleAssignmentSerializer(serializers.Serializer[Any]):
    """A role of a group."""

    object = serializers.CharField()
    group = GroupSummarySerializer()
    role = shapes.AssignableRoleSerializer()


class _Assignments(Endpoint):
    """What the eight addresses share: whose roles, and where."""

    permission: ClassVar = READ_AND_WRITE

    def place(self) -> Project | None:
        """The project in which the roles hold; None for the whole organization."""
        return None

    def holder(self) -> Member | Group:
        """Whose roles they are. Raises `NotFound`."""
        if "group_id" in self.kwargs:
            return groups.find_group(self.kwargs["group_id"])
        return members.find_member(self.kwargs["user_id"])

    def assigned(self) -> list[dict[str, Any]]:
        """Every role that the holder has there, in the order in which they got them."""
        return _assigned_roles(self.holder(), self.place())

    def assign(self, request: Request) -> Response:
        """Give the role that the body names."""
        place, holder = self.place(), self.holder()
        body = RoleChoiceSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        role = roles.find_role(body.validated_data["role_id"], project=place, param="role_id")
        roles.give(role, to=holder, by=self.principal, project=place)
        shown = shapes.show_role(role, project=place)
        if isinstance(holder, Group):
            return Response({"object": "group.role", "group": _summary(holder), "role": shown})
        return Response({"object": "user.role", "user": shapes.show_user(holder), "role": shown})

    def one(self, role_id: str) -> Response:
        """Show one of the holder's roles."""
        found = next((role for role in self.assigned() if role["id"] == role_id), None)
        if found is None:
            raise NotFound(f"The role '{role_id[:80]}' is not assigned there.", param="role_id")
        return Response(found)

    def unassign(self, role_id: str) -> Response:
        """Take the role away."""
        place, holder = self.place(), self.holder()
        role = roles.find_role(role_id, project=place, param="role_id")
        roles.take(role, of=holder, by=self.principal, project=place)
        kind = "group" if isinstance(holder, Group) else "user"
        return Response({"object": f"{kind}.role.deleted", "deleted": True})


class _InProject(ProjectEndpoint, _Assignments):
    """Roles that hold in the project which the address names."""

    def place(self) -> Project:
        """That project. Raises `NotFound`."""
        return self.project


class UserRolesView(OrganizationEndpoint, _Assignments):
    """A member's roles in the whole organization."""

    @extend_schema(parameters=CUT.parameters, responses=next_shape("UserRolePage", AssignedRoleSerializer))
    def get(self, request: Request, user_id: str) -> Response:
        return Response(cut_items(self.assigned(), request.query_params, CUT).by_next())

    @extend_schema(request=RoleChoiceSerializer, responses={200: UserRoleAssignmentSerializer})
    def post(self, request: Request, user_id: str) -> Response:
        return self.assign(request)


class UserRoleView(OrganizationEndpoint, _Assignments):
    """One role of a member."""

    @extend_schema(responses=AssignedRoleSerializer)
    def get(self, request: Request, user_id: str, role_id: str) -> Response:
        return self.one(role_id)

    @extend_schema(responses={200: shapes.DeletedSerializer})
    def delete(self, request: Request, user_id: str, role_id: str) -> Response:
        return self.unassign(role_id)


class GroupRolesView(OrganizationEndpoint, _Assignments):
    """A group's roles in the whole organization."""

    @extend_schema(parameters=CUT.parameters, responses=next_shape("GroupRolePage", AssignedRoleSerializer))
    def get(self, request: Request, group_id: str) -> Response:
        return Response(cut_items(self.assigned(), request.query_params, CUT).by_next())

    @extend_schema(request=RoleChoiceSerializer, responses={200: GroupRoleAssignmentSerializer})
    def post(self, request: Request, group_id: str) -> Response:
        return self.assign(request)


class GroupRoleView(OrganizationEndpoint, _Assignments):
    """One role of a group."""

    @extend_schema(responses=AssignedRoleSerializer)
    def get(self, request: Request, group_id: str, role_id: str) -> Response:
        return self.one(role_id)

    @extend_schema(responses={200: shapes.DeletedSerializer})
    def delete(self, request: Request, group_id: str, role_id: str) -> Response:
        return self.unassign(role_id)


class ProjectUserRolesView(_InProject):
    """A member's roles in one project."""

    @extend_schema(
        parameters=CUT.parameters, responses=next_shape("ProjectUserRolePage", AssignedRoleSerializer)
    )
    def get(self, request: Request, project_id: str, user_id: str) -> Response:
        return Response(cut_items(self.assigned(), request.query_params, CUT).by_next())

    @extend_schema(request=RoleChoiceSerializer, responses={200: UserRoleAssignmentSerializer})
    def post(self, request: Request, project_id: str, user_id: str) -> Response:
        return self.assign(request)


class ProjectUserRoleView(_InProject):
    """One role of a member in one project."""

    @extend_schema(responses=AssignedRoleSerializer)
    def get(self, request: Request, project_id: str, user_id: str, role_id: str) -> Response:
        return self.one(role_id)

    @extend_schema(responses={200: shapes.DeletedSerializer})
    def delete(self, request: Request, project_id: str, user_id: str, role_id: str) -> Response:
        return self.unassign(role_id)


class ProjectGroupRolesView(_InProject):
    """A group's roles in one project."""

    @extend_schema(
        parameters=CUT.parameters, responses=next_shape("ProjectGroupRolePage", AssignedRoleSerializer)
    )
    def get(self, request: Request, project_id: str, group_id: str) -> Response:
        return Response(cut_items(self.assigned(), request.query_params, CUT).by_next())

    @extend_schema(request=RoleChoiceSerializer, responses={200: GroupRoleAssignmentSerializer})
    def post(self, request: Request, project_id: str, group_id: str) -> Response:
        return self.assign(request)


class ProjectGroupRoleView(_InProject):
    """One role of a group in one project."""

    @extend_schema(responses=AssignedRoleSerializer)
    def get(self, request: Request, project_id: str, group_id: str, role_id: str) -> Response:
        return self.one(role_id)

    @extend_schema(responses={200: shapes.DeletedSerializer})
    def delete(self, request: Request, project_id: str, group_id: str, role_id: str) -> Response:
        return self.unassign(role_id)


def _assigned_roles(holder: Member | Group, place: Project | None) -> list[dict[str, Any]]:
    own = {"member": holder} if isinstance(holder, Member) else {"group": holder}
    rows = list(RoleAssignment.objects.filter(project=place, **own).select_related(*_ROLE).order_by("pk"))
    inherited: list[RoleAssignment] = []
    if isinstance(holder, Member):
        mine = GroupMember.objects.filter(member=holder).values("group_id")
        ours = RoleAssignment.objects.filter(project=place, group__in=mine)
        inherited = list(ours.select_related(*_ROLE).order_by("pk"))
    shown: dict[str, dict[str, Any]] = {}
    for row in [*rows, *inherited]:
        role = roles.role_of(row)
        entry = shown.setdefault(role.public_id, _show_assigned(role, place))
        if row.group_id and isinstance(holder, Member):
            entry["assignment_sources"].append(
                {"principal_id": row.group.public_id, "principal_type": "group"}
            )
        else:
            entry["assignment_sources"].append(
                {"principal_id": holder.public_id, "principal_type": _kind(holder)}
            )
    return list(shown.values())


_ROLE = ("custom_role", "group")


def _kind(holder: Member | Group) -> str:
    return "group" if isinstance(holder, Group) else "user"


def _show_assigned(role: roles.Assignable, place: Project | None) -> dict[str, Any]:
    shown = shapes.show_role(role, project=place)
    del shown["object"]
    own = role if isinstance(role, CustomRole) else None
    return {
        **shown,
        "created_at": shapes.unix(own.created_at) if own else None,
        "updated_at": shapes.unix(own.updated_at) if own else None,
        "created_by": shapes.user_id(own.created_by_id) if own else None,
        "created_by_user_obj": None,
        "metadata": None,
        "assignment_sources": [],
    }


def _summary(group: Group) -> dict[str, Any]:
    return {
        "object": "group",
        "id": group.public_id,
        "name": group.name,
        "created_at": shapes.unix(group.created_at),
        "scim_managed": group.scim_managed,
    }
