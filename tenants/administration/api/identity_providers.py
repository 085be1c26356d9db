"""REST: the organization's identity providers, and whether single sign-on is required."""

from typing import Any, ClassVar

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
from tenants.identity.models import DEFAULT_ROLES, IdentityProvider, ProviderKind
from tenants.identity.sso import addresses, connection, metadata, policy, providers
from tenants.identity.sso.providers import Wishes

KINDS = ProviderKind.values
MAX_METADATA_CHARACTERS = 512 * 1024


class CertificateSerializer(serializers.Serializer[Any]):
    """What people compare of a signing certificate."""

    sha256 = serializers.CharField()
    expires_at = serializers.DateTimeField()


class ProviderAddressesSerializer(serializers.Serializer[Any]):
    """What is entered at the identity provider."""

    start_url = serializers.CharField()
    callback_url = serializers.CharField(allow_null=True)
    acs_url = serializers.CharField(allow_null=True)
    entity_id = serializers.CharField(allow_null=True)


class IdentityProviderSerializer(serializers.Serializer[Any]):
    """An identity provider without its secret."""

    id = serializers.CharField()
    object = serializers.CharField()
    kind = serializers.ChoiceField(choices=KINDS)
    name = serializers.CharField()
    is_active = serializers.BooleanField()
    issuer = serializers.CharField()
    client_id = serializers.CharField()
    has_client_secret = serializers.BooleanField()
    metadata_url = serializers.CharField()
    sign_in_url = serializers.CharField()
    certificates = CertificateSerializer(many=True)
    allow_idp_initiated = serializers.BooleanField()
    just_in_time = serializers.BooleanField()
    default_role = serializers.ChoiceField(choices=DEFAULT_ROLES)
    attributes = serializers.DictField(child=serializers.CharField())
    group_map = serializers.DictField(child=serializers.CharField())
    required_claims = serializers.DictField(child=serializers.CharField())
    addresses = ProviderAddressesSerializer()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    tested_at = serializers.DateTimeField(allow_null=True)


class IdentityProviderChangeSerializer(StrictSerializer):
    """What an identity provider should become; what is left out stays."""

    name = serializers.CharField(max_length=100, required=False)
    is_active = serializers.BooleanField(required=False)
    issuer = serializers.CharField(max_length=1024, required=False)
    client_id = serializers.CharField(max_length=255, required=False)
    client_secret = serializers.CharField(max_length=1024, required=False)
    metadata_xml = serializers.CharField(max_length=MAX_METADATA_CHARACTERS, required=False)
    metadata_url = serializers.CharField(max_length=2048, required=False)
    sign_in_url = serializers.CharField(max_length=2048, required=False)
    certificates = serializers.ListField(
        child=serializers.CharField(max_length=16384), max_length=metadata.MAX_CERTIFICATES, required=False
    )
    allow_idp_initiated = serializers.BooleanField(required=False)
    just_in_time = serializers.BooleanField(required=False)
    default_role = serializers.ChoiceField(choices=DEFAULT_ROLES, required=False)
    attributes = serializers.DictField(child=serializers.CharField(max_length=255), required=False)
    group_map = serializers.DictField(child=serializers.CharField(max_length=255), required=False)
    required_claims = serializers.DictField(child=serializers.CharField(max_length=255), required=False)


class IdentityProviderRequestSerializer(IdentityProviderChangeSerializer):
    """A new identity provider."""

    kind = serializers.ChoiceField(choices=KINDS)
    name = serializers.CharField(max_length=100)


class ConnectionCheckSerializer(serializers.Serializer[Any]):
    """One thing that was looked at."""

    name = serializers.CharField()
    ok = serializers.BooleanField()
    message = serializers.CharField()


class ConnectionTestSerializer(serializers.Serializer[Any]):
    """Whether the provider answers as a sign-in needs it."""

    ok = serializers.BooleanField()
    checks = ConnectionCheckSerializer(many=True)


class SsoPolicySerializer(serializers.Serializer[Any]):
    """Whether single sign-on is required, and which owners may do without it."""

    require_sso = serializers.BooleanField()
    break_glass = serializers.ListField(
        child=serializers.CharField(max_length=60), max_length=20, default=list
    )


class IdentityProvidersView(OrganizationEndpoint):
    """The organization's identity providers."""

    requires_recent_sign_in = True
    permission: ClassVar = {"GET": Permission.SSO_READ, "POST": Permission.SSO_WRITE}
    # Metadata may have to be read from far away.
    scoped = False

    @extend_schema(
        parameters=PAGING, responses=page_shape("IdentityProviderPage", IdentityProviderSerializer)
    )
    def get(self, request: Request) -> Response:
        with self.scope():
            rows = IdentityProvider.objects.all()
            return Response(page(rows, request.query_params, prefix="idp", show=_show))

    @extend_schema(request=IdentityProviderRequestSerializer, responses={201: IdentityProviderSerializer})
    def post(self, request: Request) -> Response:
        body = IdentityProviderRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        kind = ProviderKind(body.validated_data.pop("kind"))
        wishes = providers.with_metadata(_wishes(body.validated_data))
        with self.scope():
            made = providers.create_provider(kind, wishes, by=self.principal)
            return Response(_show(made), status=201)


class IdentityProviderView(OrganizationEndpoint):
    """One identity provider."""

    requires_recent_sign_in = True
    permission: ClassVar = {
        "GET": Permission.SSO_READ,
        "PATCH": Permission.SSO_WRITE,
        "DELETE": Permission.SSO_WRITE,
    }
    scoped = False

    @extend_schema(responses=IdentityProviderSerializer)
    def get(self, request: Request, provider_id: str) -> Response:
        with self.scope():
            return Response(_show(providers.find_provider(provider_id)))

    @extend_schema(request=IdentityProviderChangeSerializer, responses=IdentityProviderSerializer)
    def patch(self, request: Request, provider_id: str) -> Response:
        body = IdentityProviderChangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        with self.scope():
            providers.find_provider(provider_id)
        wishes = providers.with_metadata(_wishes(body.validated_data))
        with self.scope():
            found = providers.find_provider(provider_id)
            return Response(_show(providers.change_provider(found, wishes, by=self.principal)))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, provider_id: str) -> Response:
        with self.scope():
            providers.remove_provider(providers.find_provider(provider_id))
        return Response(status=204)


class IdentityProviderTestView(OrganizationEndpoint):
    """Try an identity provider out, without signing anybody in."""

    permission = Permission.SSO_WRITE
    scoped = False

    @extend_schema(request=None, responses=ConnectionTestSerializer)
    def post(self, request: Request, provider_id: str) -> Response:
        with self.scope():
            found = providers.find_provider(provider_id)
        checks = connection.check_connection(found)
        with self.scope():
            connection.note_test(found.pk, checks)
        shown = [{"name": c.name, "ok": c.ok, "message": c.message} for c in checks]
        return Response({"ok": all(check.ok for check in checks), "checks": shown})


class SsoPolicyView(OrganizationEndpoint):
    """Whether single sign-on is required."""

    requires_recent_sign_in = True
    permission: ClassVar = {"GET": Permission.SSO_READ, "PUT": Permission.SSO_WRITE}

    @extend_schema(responses=SsoPolicySerializer)
    def get(self, request: Request) -> Response:
        return Response(_show_policy(policy.policy()))

    @extend_schema(request=SsoPolicySerializer, responses=SsoPolicySerializer)
    def put(self, request: Request) -> Response:
        body = SsoPolicySerializer(data=request.data)
        body.is_valid(raise_exception=True)
        excepted = [
            ids.parse("user", text, param="break_glass") for text in body.validated_data["break_glass"]
        ]
        wanted = body.validated_data["require_sso"]
        return Response(_show_policy(policy.set_policy(require_sso=wanted, break_glass=excepted)))


def _wishes(given: dict[str, Any]) -> Wishes:
    if "certificates" in given:
        given = {**given, "certificates": tuple(given["certificates"])}
    return Wishes(**given)


def _show_policy(found: policy.Policy) -> dict[str, Any]:
    return {"require_sso": found.require_sso, "break_glass": list(found.break_glass)}


def _show(provider: IdentityProvider) -> dict[str, Any]:
    return {
        "id": provider.public_id,
        "object": "organization.identity_provider",
        "kind": provider.kind,
        "has_client_secret": provider.sealed_secret is not None,
        "certificates": [
            {"sha256": found.sha256, "expires_at": found.expires_at}
            for found in map(metadata.read, provider.certificates)
        ],
        "addresses": _show_addresses(provider),
        **{
            name: getattr(provider, name)
            for name in (*providers.SHOWN, "created_at", "updated_at", "tested_at")
        },
    }


def _show_addresses(provider: IdentityProvider) -> dict[str, str | None]:
    by_saml = provider.kind == ProviderKind.SAML
    return {
        "start_url": addresses.start(provider),
        "callback_url": None if by_saml else addresses.callback(provider),
        "acs_url": addresses.acs(provider) if by_saml else None,
        "entity_id": addresses.entity_id(provider) if by_saml else None,
    }
