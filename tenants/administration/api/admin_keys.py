"""REST: keys to the organization's administration, as OpenAI's API has them. Only people make them."""

from typing import ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kernel import ids
from kernel.api.strict import StrictSerializer
from kernel.errors import NotFound
from tenants.access.endpoint import OrganizationEndpoint
from tenants.access.models import ApiKey
from tenants.access.permissions import Permission
from tenants.access.services import keys
from tenants.access.services.keys import KeyWish
from tenants.administration.api import project_shapes as shapes
from tenants.administration.api.cursors import Cut, cut_rows, ids_shape
from tenants.administration.api.people_shapes import DeletedSerializer

CUT = Cut(orderable=True)
MAX_LIFE_SECONDS = 31_536_000


class AdminKeyRequestSerializer(StrictSerializer):
    """An administration key to be."""

    name = serializers.CharField(max_length=keys.MAX_NAME_CHARACTERS)
    expires_in_seconds = serializers.IntegerField(min_value=1, max_value=MAX_LIFE_SECONDS, required=False)


class AdminKeysView(OrganizationEndpoint):
    """The organization's administration keys."""

    permission: ClassVar = {"GET": Permission.ADMIN_KEY_READ, "POST": Permission.ADMIN_KEY_WRITE}
    requires_recent_sign_in = True

    @extend_schema(parameters=CUT.parameters, responses=ids_shape("AdminKeyPage", shapes.AdminKeySerializer))
    def get(self, request: Request) -> Response:
        query = request.query_params
        found = cut_rows(_admin_keys(), query, CUT, prefix="key", show=shapes.show_admin_keys)
        return Response(found.by_ids())

    @extend_schema(request=AdminKeyRequestSerializer, responses={200: shapes.NewAdminKeySerializer})
    def post(self, request: Request) -> Response:
        body = AdminKeyRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        made = keys.make_admin_key(KeyWish(**body.validated_data), by=self.principal)
        [shown] = shapes.show_admin_keys([_find(made.key.public_id)])
        return Response({**shown, "value": made.secret})


class AdminKeyView(OrganizationEndpoint):
    """One administration key."""

    permission: ClassVar = {"GET": Permission.ADMIN_KEY_READ, "DELETE": Permission.ADMIN_KEY_WRITE}

    @extend_schema(responses=shapes.AdminKeySerializer)
    def get(self, request: Request, key_id: str) -> Response:
        return Response(shapes.show_admin_keys([_find(key_id)])[0])

    @extend_schema(responses={200: DeletedSerializer})
    def delete(self, request: Request, key_id: str) -> Response:
        keys.revoke_api_key(_find(key_id), self.principal)
        return Response({"object": "organization.admin_api_key.deleted", "id": key_id, "deleted": True})


def _admin_keys() -> "QuerySet[ApiKey]":
    rows: QuerySet[ApiKey] = ApiKey.objects.filter(project=None, revoked_at=None)
    return rows.select_related("created_by")


def _find(key_id: str) -> ApiKey:
    key = _admin_keys().filter(pk=ids.parse("key", key_id, param="key_id")).first()
    if key is None:
        raise NotFound(f"There is no administration key '{key_id}'.", param="key_id")
    return key
