"""REST: the domains that an organization proves to be its own."""

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
from tenants.identity.models import Domain
from tenants.identity.sso import domains

STATUSES = ["pending", "verified", "failing"]


class DomainRecordSerializer(serializers.Serializer[Any]):
    """The record by which a domain is proved."""

    type = serializers.CharField()
    name = serializers.CharField()
    value = serializers.CharField()


class DomainSerializer(serializers.Serializer[Any]):
    """A domain, and how far its proof has come."""

    id = serializers.CharField()
    object = serializers.CharField()
    name = serializers.CharField()
    status = serializers.ChoiceField(choices=STATUSES)
    record = DomainRecordSerializer()
    created_at = serializers.DateTimeField()
    verified_at = serializers.DateTimeField(allow_null=True)
    checked_at = serializers.DateTimeField(allow_null=True)
    failing_since = serializers.DateTimeField(allow_null=True)


class DomainRequestSerializer(StrictSerializer):
    """The domain to claim."""

    name = serializers.CharField(max_length=253)


class DomainsView(OrganizationEndpoint):
    """The organization's domains."""

    permission: ClassVar = {"GET": Permission.SSO_READ, "POST": Permission.SSO_WRITE}

    @extend_schema(parameters=PAGING, responses=page_shape("DomainPage", DomainSerializer))
    def get(self, request: Request) -> Response:
        return Response(page(Domain.objects.all(), request.query_params, prefix="domain", show=_show))

    @extend_schema(request=DomainRequestSerializer, responses={201: DomainSerializer})
    def post(self, request: Request) -> Response:
        body = DomainRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(_show(domains.claim_domain(body.validated_data["name"])), status=201)


class DomainView(OrganizationEndpoint):
    """One domain."""

    requires_recent_sign_in = True
    permission: ClassVar = {"GET": Permission.SSO_READ, "DELETE": Permission.SSO_WRITE}

    @extend_schema(responses=DomainSerializer)
    def get(self, request: Request, domain_id: str) -> Response:
        return Response(_show(domains.find_domain(ids.parse("domain", domain_id))))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, domain_id: str) -> Response:
        domains.remove_domain(domains.find_domain(ids.parse("domain", domain_id)))
        return Response(status=204)


class DomainVerificationView(OrganizationEndpoint):
    """Look for a domain's proof now."""

    permission = Permission.SSO_WRITE
    scoped = False

    @extend_schema(request=None, responses=DomainSerializer)
    def post(self, request: Request, domain_id: str) -> Response:
        pk = ids.parse("domain", domain_id)
        return Response(_show(domains.verify_domain(self.principal.organization_id, pk)))


def _show(domain: Domain) -> dict[str, Any]:
    standing = "failing" if domain.failing_since else "verified"
    return {
        "id": domain.public_id,
        "object": "organization.domain",
        "name": domain.name,
        "status": standing if domain.verified_at else "pending",
        "record": {
            "type": "TXT",
            "name": domains.record_name(domain),
            "value": domains.record_value(domain),
        },
        "created_at": domain.created_at,
        "verified_at": domain.verified_at,
        "checked_at": domain.checked_at,
        "failing_since": domain.failing_since,
    }
