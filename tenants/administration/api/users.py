"""REST: the organization's members, as OpenAI's API has them, and its ownership handed over."""

from collections.abc import Sequence
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kernel.api.strict import StrictSerializer
from kernel.errors import InvalidRequest
from tenants.access.endpoint import OrganizationEndpoint
from tenants.access.models import Member
from tenants.access.permissions import Permission, Role
from tenants.access.services import members, roles
from tenants.access.services.roles import Assignable, BuiltIn
from tenants.administration.api import people_shapes as shapes
from tenants.administration.api.cursors import Cut, cut_rows, ids_shape

CUT = Cut()
# OpenAI's word for a member without any role in the whole organization.
READER = "reader"


class UserChangeSerializer(StrictSerializer):
    """A member's one role in the whole organization: by name (`owner`, `reader`, a built-in one) or by id."""

    role = serializers.CharField(required=False, allow_null=True, max_length=50)
    role_id = serializers.CharField(required=False, allow_null=True, max_length=50)


class TransferSerializer(StrictSerializer):
    """Who shall own the organization."""

    user_id = serializers.CharField(max_length=50)


class UsersView(OrganizationEndpoint):
    """The organization's members."""

    permission = Permission.MEMBER_READ

    @extend_schema(
        parameters=[
            *CUT.parameters,
            OpenApiParameter("emails", str, many=True, description="Only members with these addresses."),
        ],
        responses=ids_shape("UserPage", shapes.UserSerializer),
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        rows = Member.objects.select_related("user")
        if emails := [*query.getlist("emails"), *query.getlist("emails[]")]:
            rows = rows.filter(user__email__in=[email.strip().lower() for email in emails])
        found = cut_rows(rows, query, CUT, prefix="user", show=shapes.show_users, column="user_id")
        return Response(found.by_ids())


class UserView(OrganizationEndpoint):
    """One member."""

    permission: ClassVar = {
        "GET": Permission.MEMBER_READ,
        "POST": Permission.MEMBER_WRITE,
        "DELETE": Permission.MEMBER_WRITE,
    }

    @extend_schema(responses=shapes.UserSerializer)
    def get(self, request: Request, user_id: str) -> Response:
        return Response(shapes.show_user(members.find_member(user_id)))

    @extend_schema(request=UserChangeSerializer, responses={200: shapes.UserSerializer})
    def post(self, request: Request, user_id: str) -> Response:
        member = members.find_member(user_id)
        body = UserChangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = read_roles(body.validated_data)
        if wanted is not None:
            members.set_roles(member, wanted, by=self.principal)
        return Response(shapes.show_user(member))

    @extend_schema(responses={200: shapes.DeletedSerializer})
    def delete(self, request: Request, user_id: str) -> Response:
        members.remove_member(members.find_member(user_id), by=self.principal)
        return Response({"object": "organization.user.deleted", "id": user_id, "deleted": True})


class OwnershipTransferView(OrganizationEndpoint):
    """Hand the organization over to another member."""

    permission = Permission.ORGANIZATION_OWN
    requires_recent_sign_in = True

    @extend_schema(request=TransferSerializer, responses={200: shapes.UserSerializer})
    def post(self, request: Request) -> Response:
        body = TransferSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        member = members.find_member(body.validated_data["user_id"])
        members.transfer_ownership(member, by=self.principal)
        return Response(shapes.show_user(member))


def read_roles(body: dict[str, Any]) -> Sequence[Assignable] | None:
    """The roles that a body asks for; None where it asks for no change. Raises `InvalidRequest`."""
    name, role_id = body.get("role"), body.get("role_id")
    if name and role_id:
        raise InvalidRequest("Give 'role' or 'role_id', not both.", param="role_id")
    if role_id:
        return [roles.find_role(role_id, param="role_id")]
    if not name:
        return None
    role = read_role(name)
    return [BuiltIn(role)] if role else []


def read_role(name: str) -> Role | None:
    """A built-in role by name; OpenAI's `reader` is none. Raises `InvalidRequest`."""
    if name == READER:
        return None
    if name not in set(Role):
        known = ", ".join(["reader", *(role.value for role in Role)])
        raise InvalidRequest(f"'role' must be one of {known}.", param="role")
    return Role(name)
