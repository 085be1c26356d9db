"""REST: how long each kind of data is kept, and what each day's retention did."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kernel.api.pages import page, page_shape
from kernel.api.schema import PAGING
from kernel.api.strict import StrictSerializer
from tenants.access.endpoint import OrganizationEndpoint
from tenants.access.permissions import Permission
from tenants.compliance import rules
from tenants.compliance.models import RetentionRun
from tenants.compliance.rules import Rule
from tenants.compliance.services import retention
from tenants.organizations.models import Organization

MOST_DAYS = 36_500


class RetentionRuleSerializer(serializers.Serializer[Any]):
    """How long a kind is kept: `days` null is without end; bounds are the platform's."""

    kind = serializers.CharField()
    days = serializers.IntegerField(allow_null=True)
    is_own = serializers.BooleanField()
    default_days = serializers.IntegerField(allow_null=True)
    at_least_days = serializers.IntegerField()
    at_most_days = serializers.IntegerField(allow_null=True)
    counted_from = serializers.CharField()


class RetentionRulesSerializer(serializers.Serializer[Any]):
    """Every kind; `requests` is what OpenAI's API calls `data_retention`."""

    data = RetentionRuleSerializer(many=True)  # type: ignore[assignment]
    requests = serializers.CharField()


class RetentionChoiceSerializer(StrictSerializer):
    """How long a kind shall be kept from now on."""

    kind = serializers.CharField(max_length=50)
    days = serializers.IntegerField(allow_null=True, min_value=0, max_value=MOST_DAYS)


class RetentionKindSerializer(StrictSerializer):
    """A kind of data."""

    kind = serializers.CharField(max_length=50)


class OutcomeSerializer(serializers.Serializer[Any]):
    """What became of a kind on a day; `held_back` says how many stayed for which reason."""

    kind = serializers.CharField()
    days = serializers.IntegerField()
    removed = serializers.IntegerField()
    held_back = serializers.DictField(child=serializers.IntegerField())
    fault = serializers.CharField()


class RetentionRunSerializer(serializers.Serializer[Any]):
    """What retention did on a day."""

    id = serializers.CharField()
    object = serializers.CharField()
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    report = OutcomeSerializer(many=True)


class RetentionView(OrganizationEndpoint):
    """The rules; PUT chooses for one kind, DELETE goes back to the platform's."""

    permission: ClassVar = {
        "GET": Permission.COMPLIANCE_READ,
        "PUT": Permission.COMPLIANCE_WRITE,
        "DELETE": Permission.COMPLIANCE_WRITE,
    }
    requires_recent_sign_in = True

    @extend_schema(responses=RetentionRulesSerializer)
    def get(self, request: Request) -> Response:
        requests = Organization.objects.get().data_retention
        return Response({"data": [show_rule(rule) for rule in rules.in_force()], "requests": requests})

    @extend_schema(request=RetentionChoiceSerializer, responses={200: RetentionRuleSerializer})
    def put(self, request: Request) -> Response:
        body = RetentionChoiceSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(show_rule(retention.choose_days(**body.validated_data)))

    @extend_schema(request=RetentionKindSerializer, responses={200: RetentionRuleSerializer})
    def delete(self, request: Request) -> Response:
        body = RetentionKindSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(show_rule(retention.forget_choice(body.validated_data["kind"])))


class RetentionRunsView(OrganizationEndpoint):
    """The reports of retention."""

    permission = Permission.COMPLIANCE_READ

    @extend_schema(parameters=PAGING, responses=page_shape("RetentionRunPage", RetentionRunSerializer))
    def get(self, request: Request) -> Response:
        rows = RetentionRun.objects.all()
        return Response(page(rows, request.query_params, prefix="retention", show=show_run))


def show_rule(rule: Rule) -> dict[str, Any]:
    """A rule as the API shows it."""
    return {
        "kind": rule.kind,
        "days": rule.days,
        "is_own": rule.is_own,
        "default_days": rule.keeping.days,
        "at_least_days": rule.keeping.at_least,
        "at_most_days": rule.keeping.at_most,
        "counted_from": rule.keeping.since,
    }


def show_run(run: RetentionRun) -> dict[str, Any]:
    """A report as the API shows it."""
    return {
        "id": run.public_id,
        "object": "compliance.retention_run",
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "report": run.report,
    }
