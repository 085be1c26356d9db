"""REST: the evidence report, signed, as JSON and as a page."""

import base64
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kernel.audit.log import record
from kernel.crypto import signing
from kernel.ids import render
from tenants.access.endpoint import OrganizationEndpoint
from tenants.access.permissions import Permission
from tenants.compliance.evidence import pages, report
from tenants.compliance.evidence.report import MET, NOT_APPLICABLE, NOT_MET, Report

STATUSES = [MET, NOT_MET, NOT_APPLICABLE]


class FactSerializer(serializers.Serializer[Any]):
    """What was found just now; `met` null where there is nothing to judge."""

    name = serializers.CharField()
    title = serializers.CharField()
    value = serializers.JSONField()
    met = serializers.BooleanField(allow_null=True)
    how = serializers.CharField()
    of_deployment = serializers.BooleanField()


class ControlSerializer(serializers.Serializer[Any]):
    """A demand of a framework, and the facts that answer it."""

    framework = serializers.CharField()
    number = serializers.CharField()
    title = serializers.CharField()
    status = serializers.ChoiceField(choices=STATUSES)
    facts = FactSerializer(many=True)


class EvidenceSerializer(serializers.Serializer[Any]):
    """The report: `document` is the text that was signed, `controls` are what it says."""

    object = serializers.CharField()
    made_at = serializers.CharField()
    software = serializers.CharField()
    controls = ControlSerializer(many=True)
    document = serializers.CharField()
    algorithm = serializers.CharField()
    key_id = serializers.CharField()
    signature = serializers.CharField()
    public_key = serializers.CharField(allow_null=True)


class EvidenceView(OrganizationEndpoint):
    """The report as JSON."""

    permission = Permission.COMPLIANCE_READ

    @extend_schema(responses=EvidenceSerializer)
    def get(self, request: Request) -> Response:
        return Response(show_report(_make(self.principal.organization_id)))


class EvidencePageView(OrganizationEndpoint):
    """The report as a page."""

    permission = Permission.COMPLIANCE_READ

    @extend_schema(responses={(200, "text/html"): str})
    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(pages.page_of(_make(self.principal.organization_id), request._request))


def show_report(made: Report) -> dict[str, Any]:
    """A report as the API shows it."""
    return {
        "object": "compliance.evidence",
        "made_at": made.contents["made_at"],
        "software": made.contents["software"],
        "controls": made.contents["controls"],
        "document": made.document,
        "algorithm": "Ed25519",
        "key_id": made.signature.key_id,
        "signature": base64.b64encode(made.signature.value).decode(),
        "public_key": signing.public_keys().get(made.signature.key_id),
    }


def _make(organization_id: Any) -> Report:
    made = report.of_organization(organization_id)
    record("evidence.report", render("org", organization_id))
    return made
