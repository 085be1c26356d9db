"""REST: what the platform's operator does. It shows no organization's data, only what it is and may use."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kernel import ids
from kernel.api.pages import page, page_shape
from kernel.api.schema import PAGING
from kernel.api.strict import StrictSerializer
from kernel.tenancy.scope import across_tenants, acting_for
from tenants.access import support
from tenants.access.api import STATES
from tenants.access.operator import OperatorEndpoint
from tenants.limits.models import Plan, PlatformPolicy, Price, SignUpMode
from tenants.limits.services import operation
from tenants.limits.services.platform import policy
from tenants.organizations.models import Organization
from tenants.organizations.services import lifecycle

MODES = SignUpMode.values
AMOUNTS = (
    "input_microunits_per_million_tokens",
    "output_microunits_per_million_tokens",
    "training_microunits_per_million_tokens",
    "training_microunits_per_minute",
)


class PlanSerializer(StrictSerializer):
    """A plan: seats (null is any number) and limits by kind."""

    name = serializers.SlugField(max_length=50, read_only=True)
    title = serializers.CharField(max_length=100)
    seats = serializers.IntegerField(min_value=1, max_value=1_000_000, allow_null=True)
    limits = serializers.DictField(child=serializers.IntegerField(min_value=0))


class PriceSerializer(StrictSerializer):
    """A model's price from a moment on, in millionths of the currency."""

    id = serializers.CharField(read_only=True)
    model = serializers.CharField(max_length=250)
    currency = serializers.CharField(max_length=3, default="USD")
    input_microunits_per_million_tokens = serializers.IntegerField(min_value=0, max_value=10**12)
    output_microunits_per_million_tokens = serializers.IntegerField(min_value=0, max_value=10**12)
    training_microunits_per_million_tokens = serializers.IntegerField(
        min_value=0, max_value=10**12, default=0
    )
    training_microunits_per_minute = serializers.IntegerField(min_value=0, max_value=10**12, default=0)
    valid_from = serializers.DateTimeField(required=False)


class PlatformPolicySerializer(StrictSerializer):
    """Who may sign up, which plan they try, and how many may begin in a day (null is any number)."""

    sign_up_mode = serializers.ChoiceField(choices=MODES, required=False)
    trial_plan = serializers.CharField(required=False, max_length=50)
    trials_per_day = serializers.IntegerField(required=False, allow_null=True, min_value=0, max_value=10**6)


class OperatedOrganizationSerializer(serializers.Serializer[Any]):
    """An organization as the operator sees it."""

    id = serializers.CharField()
    name = serializers.CharField()
    state = serializers.ChoiceField(choices=STATES)
    state_reason = serializers.CharField()
    plan = serializers.CharField()
    created_at = serializers.DateTimeField()
    erase_at = serializers.DateTimeField(allow_null=True)


class PlanChoiceSerializer(StrictSerializer):
    """The plan that an organization gets."""

    plan = serializers.CharField(max_length=50)


class ReasonSerializer(StrictSerializer):
    """Why an organization is suspended; its members read it."""

    reason = serializers.CharField(max_length=lifecycle.MAX_REASON_CHARACTERS)


class PlansView(OperatorEndpoint):
    """The plans."""

    @extend_schema(responses=PlanSerializer(many=True))
    def get(self, request: Request) -> Response:
        return Response([show_plan(plan) for plan in Plan.objects.order_by("name")])


class PlanView(OperatorEndpoint):
    """One plan; PUT makes it or changes it."""

    @extend_schema(responses=PlanSerializer)
    def get(self, request: Request, name: str) -> Response:
        return Response(show_plan(operation.find_plan(name)))

    @extend_schema(request=PlanSerializer, responses={200: PlanSerializer})
    def put(self, request: Request, name: str) -> Response:
        body = PlanSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(show_plan(operation.save_plan(name, **body.validated_data, by=self.actor)))


class PricesView(OperatorEndpoint):
    """The price book."""

    @extend_schema(parameters=PAGING, responses=page_shape("PricePage", PriceSerializer))
    def get(self, request: Request) -> Response:
        return Response(page(Price.objects.all(), request.query_params, prefix="price", show=show_price))

    @extend_schema(request=PriceSerializer, responses={201: PriceSerializer})
    def post(self, request: Request) -> Response:
        body = PriceSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        found = dict(body.validated_data)
        price = operation.add_price(
            found.pop("model"),
            found.pop("currency"),
            by=self.actor,
            valid_from=found.pop("valid_from", None),
            **found,
        )
        return Response(show_price(price), status=201)


class PlatformPolicyView(OperatorEndpoint):
    """How people sign up."""

    @extend_schema(responses=PlatformPolicySerializer)
    def get(self, request: Request) -> Response:
        return Response(show_policy(policy()))

    @extend_schema(request=PlatformPolicySerializer, responses={200: PlatformPolicySerializer})
    def patch(self, request: Request) -> Response:
        body = PlatformPolicySerializer(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(show_policy(operation.change_policy(self.actor, **body.validated_data)))


class OperatedOrganizationsView(OperatorEndpoint):
    """Every organization, tombstones included."""

    @extend_schema(
        parameters=PAGING, responses=page_shape("OperatedOrganizationPage", OperatedOrganizationSerializer)
    )
    def get(self, request: Request) -> Response:
        with across_tenants():
            rows = operation.organizations()
            return Response(page(rows, request.query_params, prefix="org", show=show_organization))


class OperatedOrganizationView(OperatorEndpoint):
    """One organization; PATCH gives it another plan."""

    @extend_schema(responses=OperatedOrganizationSerializer)
    def get(self, request: Request, organization_id: str) -> Response:
        return Response(show_organization(operation.find_organization(_organization(organization_id))))

    @extend_schema(request=PlanChoiceSerializer, responses={200: OperatedOrganizationSerializer})
    def patch(self, request: Request, organization_id: str) -> Response:
        body = PlanChoiceSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        changed = operation.assign_plan(
            _organization(organization_id), body.validated_data["plan"], by=self.actor
        )
        return Response(show_organization(changed))


class SuspensionView(OperatorEndpoint):
    """Suspending an organization (POST, with a reason), and letting it go on (DELETE)."""

    @extend_schema(request=ReasonSerializer, responses={200: OperatedOrganizationSerializer})
    def post(self, request: Request, organization_id: str) -> Response:
        body = ReasonSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        found = operation.find_organization(_organization(organization_id))
        with acting_for(found.pk):
            changed = lifecycle.suspend(body.validated_data["reason"])
            operation.note(self.actor, "organization.suspend", found.public_id, reason=changed.state_reason)
        return Response(show_organization(changed))

    @extend_schema(responses={200: OperatedOrganizationSerializer})
    def delete(self, request: Request, organization_id: str) -> Response:
        found = operation.find_organization(_organization(organization_id))
        with acting_for(found.pk):
            changed = lifecycle.resume()
            operation.note(self.actor, "organization.resume", found.public_id)
        return Response(show_organization(changed))


class SupportVisitView(OperatorEndpoint):
    """Looking into an organization that consented (POST), and leaving it (DELETE)."""

    @extend_schema(request=None, responses={200: OperatedOrganizationSerializer})
    def post(self, request: Request, organization_id: str) -> Response:
        found = operation.find_organization(_organization(organization_id))
        support.enter(request._request.session, found.pk)
        operation.note(self.actor, "support.enter", found.public_id)
        return Response(show_organization(found))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, organization_id: str) -> Response:
        found = operation.find_organization(_organization(organization_id))
        support.leave(request._request.session)
        operation.note(self.actor, "support.leave", found.public_id)
        return Response(status=204)


def show_plan(plan: Plan) -> dict[str, Any]:
    """A plan as the API shows it."""
    return {"name": plan.name, "title": plan.title, "seats": plan.seats, "limits": plan.limits}


def show_price(price: Price) -> dict[str, Any]:
    """A price as the API shows it."""
    amounts = {name: getattr(price, name) for name in AMOUNTS}
    about = {"id": price.public_id, "model": price.model, "currency": price.currency}
    return {**about, **amounts, "valid_from": price.valid_from}


def show_policy(found: PlatformPolicy) -> dict[str, Any]:
    """The sign-up policy as the API shows it."""
    return {
        "sign_up_mode": found.sign_up_mode,
        "trial_plan": found.trial_plan_id,
        "trials_per_day": found.trials_per_day,
    }


def show_organization(organization: Organization) -> dict[str, Any]:
    """An organization as the operator sees it."""
    return {
        "id": organization.public_id,
        "name": organization.name,
        "state": organization.state,
        "state_reason": organization.state_reason,
        "plan": organization.plan,
        "created_at": organization.created_at,
        "erase_at": organization.erase_at,
    }


def _organization(text: str) -> UUID:
    return ids.parse("org", text, param="organization_id")
