"""REST: the organization itself: its name and state; closing it, and keeping it after all."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kernel.api.strict import StrictSerializer
from kernel.tenancy.scope import current_organization_id
from tenants.access.api import STATES
from tenants.access.endpoint import OrganizationEndpoint
from tenants.access.permissions import Permission
from tenants.organizations.models import Organization
from tenants.organizations.services import lifecycle


class OrganizationSerializer(serializers.Serializer[Any]):
    """The organization: `state_reason` says why it is suspended, `erase_at` when a closing one is erased."""

    id = serializers.CharField()
    name = serializers.CharField()
    state = serializers.ChoiceField(choices=STATES)
    state_reason = serializers.CharField()
    erase_at = serializers.DateTimeField(allow_null=True)
    plan = serializers.CharField()
    created_at = serializers.DateTimeField()


class NameSerializer(StrictSerializer):
    """A name: a new one, or the present one to confirm that the organization shall be closed."""

    name = serializers.CharField(max_length=lifecycle.MAX_NAME_CHARACTERS, trim_whitespace=False)


class OrganizationView(OrganizationEndpoint):
    """The caller's organization."""

    permission: ClassVar = {"GET": Permission.ORGANIZATION_READ, "PATCH": Permission.ORGANIZATION_WRITE}

    @extend_schema(responses=OrganizationSerializer)
    def get(self, request: Request) -> Response:
        return Response(show_organization(Organization.objects.get(pk=current_organization_id())))

    @extend_schema(request=NameSerializer, responses={200: OrganizationSerializer})
    def patch(self, request: Request) -> Response:
        return Response(show_organization(lifecycle.rename(_name(request))))

    def check_permission(self, permission: Permission) -> None:
        """Whoever is in it sees it, a project's key included."""
        if permission is Permission.ORGANIZATION_READ:
            self.principal.must(permission)
        else:
            super().check_permission(permission)


class ClosingView(OrganizationEndpoint):
    """Closing the organization (POST, with its exact name), and keeping it after all (DELETE)."""

    permission = Permission.ORGANIZATION_OWN
    requires_recent_sign_in = True

    @extend_schema(request=NameSerializer, responses={200: OrganizationSerializer})
    def post(self, request: Request) -> Response:
        return Response(show_organization(lifecycle.request_close(_name(request))))

    @extend_schema(responses={200: OrganizationSerializer})
    def delete(self, request: Request) -> Response:
        return Response(show_organization(lifecycle.undo_close()))


def show_organization(organization: Organization) -> dict[str, Any]:
    """An organization as its members see it."""
    return {
        "id": organization.public_id,
        "name": organization.name,
        "state": organization.state,
        "state_reason": organization.state_reason,
        "erase_at": organization.erase_at,
        "plan": organization.plan,
        "created_at": organization.created_at,
    }


def _name(request: Request) -> str:
    body = NameSerializer(data=request.data)
    body.is_valid(raise_exception=True)
    name: str = body.validated_data["name"]
    return name
