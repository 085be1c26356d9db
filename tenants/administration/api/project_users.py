"""REST: who works in a project, in OpenAI's two roles."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kernel.api.strict import StrictSerializer
from kernel.errors import InvalidRequest, NotFound
from tenants.access.addresses import normalise
from tenants.access.endpoint import ProjectEndpoint
from tenants.access.models import Member
from tenants.access.permissions import Permission
from tenants.access.project_roles import PROJECT_ROLES, ProjectRole
from tenants.access.services import members, project_members
from tenants.administration.api import people_shapes as shapes
from tenants.administration.api.cursors import Cut, cut_rows, ids_shape
from tenants.organizations.models import Project

CUT = Cut()
MEMBERS = {
    "GET": Permission.MEMBER_READ,
    "POST": Permission.MEMBER_WRITE,
    "DELETE": Permission.MEMBER_WRITE,
}


class ProjectUserChoiceSerializer(StrictSerializer):
    """Whom to let in, by id or by address, and as `owner` or `member`."""

    user_id = serializers.CharField(required=False, allow_null=True, max_length=50)
    email = serializers.CharField(required=False, allow_null=True, max_length=254)
    role = serializers.CharField(max_length=50)


class ProjectUserChangeSerializer(StrictSerializer):
    """Another role, `owner` or `member`."""

    role = serializers.CharField(required=False, allow_null=True, max_length=50)


class ProjectUserSerializer(serializers.Serializer[Any]):
    """A member of a project."""

    object = serializers.CharField()
    id = serializers.CharField()
    name = serializers.CharField()
    email = serializers.CharField()
    role = serializers.ChoiceField(choices=PROJECT_ROLES)
    added_at = serializers.IntegerField()


class ProjectUsersView(ProjectEndpoint):
    """The members of a project."""

    permission: ClassVar = MEMBERS

    @extend_schema(parameters=CUT.parameters, responses=ids_shape("ProjectUserPage", ProjectUserSerializer))
    def get(self, request: Request, project_id: str) -> Response:
        project = self.project
        found = cut_rows(
            project_members.members_of(project),
            request.query_params,
            CUT,
            prefix="user",
            show=lambda rows: _show(rows, project),
            column="user_id",
        )
        return Response(found.by_ids())

    @extend_schema(request=ProjectUserChoiceSerializer, responses={200: ProjectUserSerializer})
    def post(self, request: Request, project_id: str) -> Response:
        project = self.project
        body = ProjectUserChoiceSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        member = _named(body.validated_data)
        role = _role(body.validated_data["role"])
        project_members.let_in(member, project, role, by=self.principal)
        return Response(_show([member], project)[0])


class ProjectUserView(ProjectEndpoint):
    """One member of a project."""

    permission: ClassVar = MEMBERS

    @extend_schema(responses=ProjectUserSerializer)
    def get(self, request: Request, project_id: str, user_id: str) -> Response:
        project = self.project
        return Response(_show([_inside(project, user_id)], project)[0])

    @extend_schema(request=ProjectUserChangeSerializer, responses={200: ProjectUserSerializer})
    def post(self, request: Request, project_id: str, user_id: str) -> Response:
        project = self.project
        member = _inside(project, user_id)
        body = ProjectUserChangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        if body.validated_data.get("role"):
            role = _role(body.validated_data["role"])
            project_members.let_in(member, project, role, by=self.principal)
        return Response(_show([member], project)[0])

    @extend_schema(responses={200: shapes.DeletedSerializer})
    def delete(self, request: Request, project_id: str, user_id: str) -> Response:
        project = self.project
        project_members.put_out(_inside(project, user_id), project, by=self.principal)
        return Response({"object": "organization.project.user.deleted", "id": user_id, "deleted": True})


def _named(body: dict[str, Any]) -> Member:
    user_id, email = body.get("user_id"), body.get("email")
    if bool(user_id) == bool(email):
        raise InvalidRequest("Give either 'user_id' or 'email'.", param="user_id")
    if user_id:
        return members.find_member(user_id)
    address = normalise(email)
    member: Member | None = Member.objects.filter(user__email=address).select_related("user").first()
    if member is None:
        raise NotFound(f"No member has the address '{address}': invite them first.", param="email")
    return member


def _inside(project: Project, user_id: str) -> Member:
    member = members.find_member(user_id)
    if not project_members.members_of(project).filter(pk=member.pk).exists():
        raise NotFound(f"'{user_id}' is not in this project.", param="user_id")
    return member


def _role(text: str) -> ProjectRole:
    if text not in set(ProjectRole):
        raise InvalidRequest("'role' must be 'owner' or 'member'.", param="role")
    return ProjectRole(text)


def _show(rows: list[Member], project: Project) -> list[dict[str, Any]]:
    places = project_members.places_of(rows, project)
    return [
        {
            "object": "organization.project.user",
            "id": member.public_id,
            "name": member.user.name,
            "email": member.user.email,
            "role": places[member.pk][0].value,
            "added_at": places[member.pk][1],
        }
        for member in rows
    ]
