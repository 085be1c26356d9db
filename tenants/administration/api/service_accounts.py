"""REST: a project's service accounts and their keys, as OpenAI's API has them."""

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kernel.api.strict import StrictSerializer
from tenants.access.endpoint import ProjectEndpoint
from tenants.access.models import ServiceAccount
from tenants.access.permissions import KEY_PERMISSIONS, Permission
from tenants.access.services import service_accounts
from tenants.access.services.keys import MAX_NAME_CHARACTERS
from tenants.administration.api import project_shapes as shapes
from tenants.administration.api.cursors import Cut, cut_rows, ids_shape
from tenants.administration.api.people_shapes import DeletedSerializer

CUT = Cut()


class ServiceAccountRequestSerializer(StrictSerializer):
    """A service account to be; alone it comes without a role and without a key."""

    name = serializers.CharField(max_length=MAX_NAME_CHARACTERS)
    create_service_account_only = serializers.BooleanField(required=False, allow_null=True)


class ServiceAccountChangeSerializer(StrictSerializer):
    """Another name or role for a service account."""

    name = serializers.CharField(max_length=MAX_NAME_CHARACTERS, required=False)
    role = serializers.CharField(max_length=10, required=False)


class ServiceAccountKeyRequestSerializer(StrictSerializer):
    """A key to be; `scopes` are permissions, all that a key can hold unless told."""

    name = serializers.CharField(max_length=MAX_NAME_CHARACTERS, required=False)
    scopes = serializers.ListField(
        child=serializers.CharField(max_length=50), max_length=len(KEY_PERMISSIONS), required=False
    )


class ServiceAccountsView(ProjectEndpoint):
    """The project's service accounts."""

    permission: ClassVar = {
        "GET": Permission.SERVICE_ACCOUNT_READ,
        "POST": Permission.SERVICE_ACCOUNT_WRITE,
    }
    requires_recent_sign_in = True

    @extend_schema(
        parameters=CUT.parameters,
        responses=ids_shape("ServiceAccountPage", shapes.ServiceAccountSerializer),
    )
    def get(self, request: Request, project_id: str) -> Response:
        rows = ServiceAccount.objects.filter(project=self.project)
        query = request.query_params
        found = cut_rows(rows, query, CUT, prefix="svc_acct", show=shapes.show_accounts)
        return Response(found.by_ids())

    @extend_schema(
        request=ServiceAccountRequestSerializer, responses={200: shapes.NewServiceAccountSerializer}
    )
    def post(self, request: Request, project_id: str) -> Response:
        body = ServiceAccountRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        alone = bool(body.validated_data.get("create_service_account_only"))
        role = service_accounts.NO_ROLE if alone else service_accounts.MEMBER
        name, by = body.validated_data["name"], self.principal
        account = service_accounts.make_account(name, self.project, role=role, by=by)
        made = None if alone else service_accounts.make_key(account, by=by)
        key = shapes.show_account_key(made) if made else None
        return Response({**shapes.show_account(account), "api_key": key})


class ServiceAccountView(ProjectEndpoint):
    """One service account."""

    permission: ClassVar = {
        "GET": Permission.SERVICE_ACCOUNT_READ,
        "POST": Permission.SERVICE_ACCOUNT_WRITE,
        "DELETE": Permission.SERVICE_ACCOUNT_WRITE,
    }

    @extend_schema(responses=shapes.ServiceAccountSerializer)
    def get(self, request: Request, project_id: str, service_account_id: str) -> Response:
        account = service_accounts.find_account(service_account_id, self.project)
        return Response(shapes.show_account(account))

    @extend_schema(request=ServiceAccountChangeSerializer, responses={200: shapes.ServiceAccountSerializer})
    def post(self, request: Request, project_id: str, service_account_id: str) -> Response:
        account = service_accounts.find_account(service_account_id, self.project)
        body = ServiceAccountChangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        service_accounts.change_account(account, **body.validated_data, by=self.principal)
        return Response(shapes.show_account(account))

    @extend_schema(responses={200: DeletedSerializer})
    def delete(self, request: Request, project_id: str, service_account_id: str) -> Response:
        service_accounts.delete_account(service_accounts.find_account(service_account_id, self.project))
        kind = "organization.project.service_account.deleted"
        return Response({"object": kind, "id": service_account_id, "deleted": True})


class ServiceAccountKeysView(ProjectEndpoint):
    """Further keys of a service account."""

    permission = Permission.SERVICE_ACCOUNT_WRITE
    requires_recent_sign_in = True

    @extend_schema(
        request=ServiceAccountKeyRequestSerializer, responses={200: shapes.ServiceAccountKeySerializer}
    )
    def post(self, request: Request, project_id: str, service_account_id: str) -> Response:
        account = service_accounts.find_account(service_account_id, self.project)
        body = ServiceAccountKeyRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        made = service_accounts.make_key(
            account,
            name=body.validated_data.get("name", service_accounts.KEY_NAME),
            permissions=body.validated_data.get("scopes"),
            by=self.principal,
        )
        return Response(shapes.show_account_key(made))
