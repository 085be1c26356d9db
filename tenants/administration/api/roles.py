"""REST: the roles that can be assigned, in the organization and in a project."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kernel.api.strict import StrictSerializer
from kernel.errors import Conflict, NotFound
from tenants.access.endpoint import Endpoint, OrganizationEndpoint, ProjectEndpoint
from tenants.access.models import CustomRole
from tenants.access.permissions import Permission, Role
from tenants.access.services import custom_roles, roles
from tenants.access.services.custom_roles import RoleDraft
from tenants.access.services.roles import Assignable, BuiltIn
from tenants.administration.api import people_shapes as shapes
from tenants.administration.api.cursors import Cut, cut_items, next_shape
from tenants.organizations.models import Project

CUT = Cut(default=1000, most=1000, least=0, orderable=True)


class PredefinedRole(Conflict):
    """A built-in role is the same in every organization."""

    code = "predefined_role"
    message = "A predefined role cannot be changed or deleted: make a role of your own."


class NewRoleSerializer(StrictSerializer):
    """A role to be made."""

    role_name = serializers.CharField(max_length=custom_roles.MAX_NAME_CHARACTERS)
    permissions = serializers.ListField(child=serializers.CharField(max_length=50), max_length=100)
    description = serializers.CharField(
        required=False,
        allow_null=True,
        allow_blank=True,
        max_length=custom_roles.MAX_DESCRIPTION_CHARACTERS,
    )


class RoleChangeSerializer(NewRoleSerializer):
    """What to change of a role."""

    role_name = serializers.CharField(
        required=False, allow_null=True, max_length=custom_roles.MAX_NAME_CHARACTERS
    )
    permissions = serializers.ListField(
        child=serializers.CharField(max_length=50), max_length=100, required=False, allow_null=True
    )


class _Roles(Endpoint):
    """What the four addresses share: where the roles hold."""

    permission: ClassVar = {
        "GET": Permission.ROLE_READ,
        "POST": Permission.ROLE_WRITE,
        "DELETE": Permission.ROLE_WRITE,
    }

    def place(self) -> Project | None:
        """The project whose roles they are; None for the organization's."""
        return None

    def listed(self, request: Request) -> Response:
        """The predefined roles, then those made, oldest first."""
        place = self.place()
        made = CustomRole.objects.filter(project=place).order_by("pk")
        # The organization is owned as a whole.
        predefined = [BuiltIn(role) for role in Role if place is None or role is not Role.OWNER]
        shown = [shapes.show_role(role, project=place) for role in [*predefined, *made]]
        return Response(cut_items(shown, request.query_params, CUT).by_next())

    def made(self, request: Request) -> Response:
        """Make a role."""
        place = self.place()
        role = custom_roles.make_role(_draft(NewRoleSerializer, request), by=self.principal, project=place)
        return Response(shapes.show_role(role, project=place))

    def shown(self, role_id: str) -> Response:
        """Show one role."""
        return Response(shapes.show_role(self._find(role_id), project=self.place()))

    def changed(self, request: Request, role_id: str) -> Response:
        """Change a role that was made here."""
        role = self._own(role_id)
        role = custom_roles.change_role(role, _draft(RoleChangeSerializer, request), by=self.principal)
        return Response(shapes.show_role(role, project=self.place()))

    def deleted(self, role_id: str) -> Response:
        """Delete a role that was made here."""
        custom_roles.delete_role(self._own(role_id), by=self.principal)
        return Response({"object": "role.deleted", "id": role_id, "deleted": True})

    def _find(self, role_id: str) -> Assignable:
        place = self.place()
        role = roles.find_role(role_id, project=place, param="role_id")
        if isinstance(role, CustomRole) and role.project_id != (place.pk if place else None):
            raise NotFound(f"There is no role '{role_id}' here.", param="role_id")
        return role

    def _own(self, role_id: str) -> CustomRole:
        role = self._find(role_id)
        if isinstance(role, BuiltIn):
            raise PredefinedRole(param="role_id")
        return role


class RolesView(OrganizationEndpoint, _Roles):
    """The organization's roles."""

    @extend_schema(
        parameters=CUT.parameters, responses=next_shape("RolePage", shapes.AssignableRoleSerializer)
    )
    def get(self, request: Request) -> Response:
        return self.listed(request)

    @extend_schema(request=NewRoleSerializer, responses={200: shapes.AssignableRoleSerializer})
    def post(self, request: Request) -> Response:
        return self.made(request)


class RoleView(OrganizationEndpoint, _Roles):
    """One role of the organization."""

    @extend_schema(responses=shapes.AssignableRoleSerializer)
    def get(self, request: Request, role_id: str) -> Response:
        return self.shown(role_id)

    @extend_schema(request=RoleChangeSerializer, responses={200: shapes.AssignableRoleSerializer})
    def post(self, request: Request, role_id: str) -> Response:
        return self.changed(request, role_id)

    @extend_schema(responses={200: shapes.DeletedSerializer})
    def delete(self, request: Request, role_id: str) -> Response:
        return self.deleted(role_id)


class _InProject(ProjectEndpoint, _Roles):
    """Roles of the project which the address names."""

    def place(self) -> Project:
        """That project. Raises `NotFound`."""
        return self.project


class ProjectRolesView(_InProject):
    """A project's roles."""

    @extend_schema(
        parameters=CUT.parameters, responses=next_shape("ProjectRolePage", shapes.AssignableRoleSerializer)
    )
    def get(self, request: Request, project_id: str) -> Response:
        return self.listed(request)

    @extend_schema(request=NewRoleSerializer, responses={200: shapes.AssignableRoleSerializer})
    def post(self, request: Request, project_id: str) -> Response:
        return self.made(request)


class ProjectRoleView(_InProject):
    """One role of a project."""

    @extend_schema(responses=shapes.AssignableRoleSerializer)
    def get(self, request: Request, project_id: str, role_id: str) -> Response:
        return self.shown(role_id)

    @extend_schema(request=RoleChangeSerializer, responses={200: shapes.AssignableRoleSerializer})
    def post(self, request: Request, project_id: str, role_id: str) -> Response:
        return self.changed(request, role_id)

    @extend_schema(responses={200: shapes.DeletedSerializer})
    def delete(self, request: Request, project_id: str, role_id: str) -> Response:
        return self.deleted(role_id)


def _draft(shape: type[StrictSerializer], request: Request) -> RoleDraft:
    body = shape(data=request.data)
    body.is_valid(raise_exception=True)
    said: dict[str, Any] = body.validated_data
    return RoleDraft(said.get("role_name"), said.get("permissions"), said.get("description"))
