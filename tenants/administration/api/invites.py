"""REST: invitations, made by administrators and accepted by their receivers."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kernel import ids
from kernel.api.strict import StrictSerializer
from kernel.errors import NotFound
from tenants.access import sessions
from tenants.access.endpoint import OrganizationEndpoint
from tenants.access.models import Invitation
from tenants.access.permissions import Permission
from tenants.access.personal import PersonEndpoint
from tenants.access.project_roles import PROJECT_ROLES, ProjectRole
from tenants.access.services import invitations
from tenants.administration.api import people_shapes as shapes
from tenants.administration.api.cursors import Cut, cut_rows, ids_shape
from tenants.administration.api.users import read_role

CUT = Cut(order="desc")
MAX_PROJECTS = 100


class InvitedToSerializer(StrictSerializer):
    """A project to open on acceptance."""

    id = serializers.CharField(max_length=50)
    role = serializers.ChoiceField(choices=PROJECT_ROLES)


class NewInviteSerializer(StrictSerializer):
    """Whom to invite: as `owner`, as `reader` (no role in the whole organization) or in a built-in role.

    Without `projects` the oldest one is opened, with an empty list none.
    """

    email = serializers.CharField(max_length=1000)
    role = serializers.CharField(max_length=50)
    projects = serializers.ListField(child=InvitedToSerializer(), required=False, max_length=MAX_PROJECTS)


class AcceptanceSerializer(StrictSerializer):
    """The token of the invitation's link."""

    token = serializers.CharField(max_length=1000)


class AcceptedSerializer(serializers.Serializer[Any]):
    """Where the person is now a member."""

    organization_id = serializers.CharField()
    user_id = serializers.CharField()


class InvitesView(OrganizationEndpoint):
    """The organization's invitations."""

    permission: ClassVar = {"GET": Permission.MEMBER_READ, "POST": Permission.MEMBER_WRITE}

    @extend_schema(parameters=CUT.parameters, responses=ids_shape("InvitePage", shapes.InviteSerializer))
    def get(self, request: Request) -> Response:
        found = cut_rows(
            invitations.invitations(),
            request.query_params,
            CUT,
            prefix="invite",
            show=lambda rows: [shapes.show_invite(row) for row in rows],
        )
        return Response(found.by_ids())

    @extend_schema(request=NewInviteSerializer, responses={200: shapes.InviteSerializer})
    def post(self, request: Request) -> Response:
        body = NewInviteSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        said = body.validated_data
        role = read_role(said["role"])
        made = invitations.invite(said["email"], role, _places(said.get("projects")), by=self.principal)
        return Response(shapes.show_invite(made))


class InviteView(OrganizationEndpoint):
    """One invitation."""

    permission: ClassVar = {"GET": Permission.MEMBER_READ, "DELETE": Permission.MEMBER_WRITE}

    @extend_schema(responses=shapes.InviteSerializer)
    def get(self, request: Request, invite_id: str) -> Response:
        return Response(shapes.show_invite(_find(invite_id)))

    @extend_schema(responses={200: shapes.DeletedSerializer})
    def delete(self, request: Request, invite_id: str) -> Response:
        invitations.withdraw(_find(invite_id))
        return Response({"object": "organization.invite.deleted", "id": invite_id, "deleted": True})


class InvitationAcceptanceView(PersonEndpoint):
    """Accept an invitation, signed in with the invited address."""

    @extend_schema(request=AcceptanceSerializer, responses={200: AcceptedSerializer})
    def post(self, request: Request) -> Response:
        body = AcceptanceSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        member = invitations.accept(body.validated_data["token"], self.person)
        session = request._request.session
        session[sessions.ORGANIZATION_KEY] = str(member.organization_id)
        session.pop(sessions.PROJECT_KEY, None)
        return Response(
            {"organization_id": ids.render("org", member.organization_id), "user_id": member.public_id}
        )


def _find(invite_id: str) -> Invitation:
    invitation: Invitation | None = (
        invitations.invitations().filter(pk=ids.parse("invite", invite_id, param="invite_id")).first()
    )
    if invitation is None:
        raise NotFound(f"There is no invitation '{invite_id}'.", param="invite_id")
    return invitation


def _places(projects: list[dict[str, str]] | None) -> dict[UUID, ProjectRole] | None:
    if projects is None:
        return None
    return {
        ids.parse("proj", place["id"], param="projects"): ProjectRole(place["role"]) for place in projects
    }
