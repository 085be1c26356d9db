"""REST: consent to support access, given and withdrawn by the organization."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kernel import ids
from kernel.api.pages import page, page_shape
from kernel.api.schema import PAGING
from kernel.api.strict import StrictSerializer
from tenants.access.endpoint import OrganizationEndpoint
from tenants.access.permissions import Permission
from tenants.organizations.models import SupportAccess
from tenants.organizations.services import support


class SupportAccessRequestSerializer(StrictSerializer):
    """Why the operator shall look in, and for how long."""

    reason = serializers.CharField(max_length=support.MAX_REASON_CHARACTERS)
    hours = serializers.IntegerField(min_value=1, max_value=support.MAX_HOURS)


class SupportAccessSerializer(serializers.Serializer[Any]):
    """A consent."""

    id = serializers.CharField()
    reason = serializers.CharField()
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField(allow_null=True)
    expires_at = serializers.DateTimeField()
    revoked_at = serializers.DateTimeField(allow_null=True)


class SupportAccessesView(OrganizationEndpoint):
    """The organization's consents, old ones included."""

    permission = Permission.SUPPORT_WRITE

    @extend_schema(parameters=PAGING, responses=page_shape("SupportAccessPage", SupportAccessSerializer))
    def get(self, request: Request) -> Response:
        rows = SupportAccess.objects.all()
        return Response(page(rows, request.query_params, prefix="support", show=show_access))

    @extend_schema(request=SupportAccessRequestSerializer, responses={201: SupportAccessSerializer})
    def post(self, request: Request) -> Response:
        body = SupportAccessRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        access = support.consent(**body.validated_data, user_id=self.principal.user_id)
        return Response(show_access(access), status=201)


class SupportAccessView(OrganizationEndpoint):
    """One consent."""

    permission = Permission.SUPPORT_WRITE

    @extend_schema(responses=SupportAccessSerializer)
    def get(self, request: Request, access_id: str) -> Response:
        return Response(show_access(support.find_access(ids.parse("support", access_id))))

    @extend_schema(responses={200: SupportAccessSerializer})
    def delete(self, request: Request, access_id: str) -> Response:
        return Response(show_access(support.revoke(support.find_access(ids.parse("support", access_id)))))


def show_access(access: SupportAccess) -> dict[str, Any]:
    """A consent as the API shows it."""
    return {
        "id": access.public_id,
        "reason": access.reason,
        "created_at": access.created_at,
        "created_by": ids.render("user", access.created_by_id) if access.created_by_id else None,
        "expires_at": access.expires_at,
        "revoked_at": access.revoked_at,
    }
