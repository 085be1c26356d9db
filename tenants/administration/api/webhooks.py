"""REST: webhooks, their secrets and their deliveries."""

from datetime import timedelta
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kernel import ids
from kernel.api.pages import page, page_shape
from kernel.api.schema import PAGING
from kernel.api.strict import StrictSerializer
from kernel.egress.destinations import MAX_URL_CHARACTERS
from kernel.errors import InvalidRequest
from kernel.webhooks import catalogue, services
from kernel.webhooks.models import DeliveryState, DisabledBecause, WebhookDelivery, WebhookEndpoint
from tenants.access.endpoint import OrganizationEndpoint
from tenants.access.permissions import Permission

DAY_SECONDS = 24 * 3600
MAX_OVERLAP_SECONDS = 7 * DAY_SECONDS
DELIVERY_STATES = [state.value for state in DeliveryState]
DISABLED_BECAUSE = [reason.value for reason in DisabledBecause]
READ_AND_WRITE = {
    "GET": Permission.WEBHOOK_READ,
    "POST": Permission.WEBHOOK_WRITE,
    "PATCH": Permission.WEBHOOK_WRITE,
    "DELETE": Permission.WEBHOOK_WRITE,
}


class WebhookSerializer(serializers.Serializer[Any]):
    """A webhook, without its secret. `failing_since` is the first failure after the last success."""

    id = serializers.CharField()
    url = serializers.CharField()
    events = serializers.ListField(child=serializers.CharField())
    enabled = serializers.BooleanField()
    disabled_because = serializers.ChoiceField(choices=DISABLED_BECAUSE, allow_null=True)
    failing_since = serializers.DateTimeField(allow_null=True)
    previous_secret_until = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class NewWebhookSerializer(WebhookSerializer):
    """A webhook whose secret was just made: the only time that it is shown."""

    secret = serializers.CharField()


class WebhookRequestSerializer(StrictSerializer):
    """Where to tell, and of what: events' names, or their beginnings and `.*`, or `*`."""

    url = serializers.CharField(max_length=MAX_URL_CHARACTERS)
    events = serializers.ListField(
        child=serializers.CharField(max_length=100), min_length=1, max_length=catalogue.MAX_PATTERNS
    )
    enabled = serializers.BooleanField(required=False, default=True)


class WebhookChangeSerializer(StrictSerializer):
    """What to change."""

    url = serializers.CharField(max_length=MAX_URL_CHARACTERS, required=False)
    events = serializers.ListField(
        child=serializers.CharField(max_length=100),
        min_length=1,
        max_length=catalogue.MAX_PATTERNS,
        required=False,
    )
    enabled = serializers.BooleanField(required=False)


class SecretRotationSerializer(StrictSerializer):
    """How long the secret before signs as well; a day unless told."""

    overlap_seconds = serializers.IntegerField(
        min_value=0, max_value=MAX_OVERLAP_SECONDS, required=False, default=DAY_SECONDS
    )


class DeliverySerializer(serializers.Serializer[Any]):
    """One event on its way to one webhook. `fault` is the code of what went wrong last."""

    id = serializers.CharField()
    webhook_id = serializers.CharField()
    message_id = serializers.CharField()
    event = serializers.CharField()
    state = serializers.ChoiceField(choices=DELIVERY_STATES)
    attempts = serializers.IntegerField()
    status_code = serializers.IntegerField(allow_null=True)
    duration_milliseconds = serializers.IntegerField(allow_null=True)
    fault = serializers.CharField(allow_null=True)
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class WebhookEventSerializer(serializers.Serializer[Any]):
    """An event that webhooks can be told of."""

    name = serializers.CharField()
    description = serializers.CharField()


WebhookEventList = inline_serializer(
    name="WebhookEventList",
    fields={"object": serializers.CharField(), "data": WebhookEventSerializer(many=True)},
)


class WebhooksView(OrganizationEndpoint):
    """The organization's webhooks."""

    permission: ClassVar = READ_AND_WRITE
    # The name in an address is looked up before a transaction is begun.
    scoped = False

    @extend_schema(parameters=PAGING, responses=page_shape("WebhookPage", WebhookSerializer))
    def get(self, request: Request) -> Response:
        with self.scope():
            return Response(
                page(WebhookEndpoint.objects.all(), request.query_params, prefix="whk", show=show_webhook)
            )

    @extend_schema(request=WebhookRequestSerializer, responses={201: NewWebhookSerializer})
    def post(self, request: Request) -> Response:
        body = WebhookRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        wish = body.validated_data
        services.check_url(wish["url"])
        with self.scope():
            made = services.create_webhook(wish["url"], wish["events"], enabled=wish["enabled"])
        return Response({**show_webhook(made.endpoint), "secret": made.secret}, status=201)


class WebhookView(OrganizationEndpoint):
    """One webhook."""

    permission: ClassVar = READ_AND_WRITE
    scoped = False

    @extend_schema(responses=WebhookSerializer)
    def get(self, request: Request, webhook_id: str) -> Response:
        with self.scope():
            return Response(show_webhook(_webhook(webhook_id)))

    @extend_schema(request=WebhookChangeSerializer, responses=WebhookSerializer)
    def patch(self, request: Request, webhook_id: str) -> Response:
        body = WebhookChangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        changes = dict(body.validated_data)
        if not changes:
            raise InvalidRequest("Name what to change: 'url', 'events' or 'enabled'.")
        with self.scope():
            _webhook(webhook_id)
        if "url" in changes:
            services.check_url(changes["url"])
        if "events" in changes:
            changes["patterns"] = changes.pop("events")
        with self.scope():
            endpoint = _webhook(webhook_id, lock=True)
            services.change_webhook(endpoint, changes)
            return Response(show_webhook(endpoint))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, webhook_id: str) -> Response:
        with self.scope():
            services.delete_webhook(_webhook(webhook_id, lock=True))
        return Response(status=204)


class WebhookSecretRotationView(OrganizationEndpoint):
    """Replace a webhook's secret."""

    permission = Permission.WEBHOOK_WRITE

    @extend_schema(request=SecretRotationSerializer, responses={200: NewWebhookSerializer})
    def post(self, request: Request, webhook_id: str) -> Response:
        body = SecretRotationSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        overlap = timedelta(seconds=body.validated_data["overlap_seconds"])
        made = services.rotate_secret(_webhook(webhook_id, lock=True), overlap=overlap)
        return Response({**show_webhook(made.endpoint), "secret": made.secret})


class WebhookTestView(OrganizationEndpoint):
    """Send a test message."""

    permission = Permission.WEBHOOK_WRITE

    @extend_schema(request=None, responses={202: DeliverySerializer})
    def post(self, request: Request, webhook_id: str) -> Response:
        return Response(show_delivery(services.send_test(_webhook(webhook_id))), status=202)


class WebhookDeliveriesView(OrganizationEndpoint):
    """What a webhook was told, is being told, and could not be told."""

    permission = Permission.WEBHOOK_READ

    @extend_schema(
        parameters=[
            *PAGING,
            OpenApiParameter("state", str, enum=DELIVERY_STATES, description="Only those in this state."),
        ],
        responses=page_shape("WebhookDeliveryPage", DeliverySerializer),
    )
    def get(self, request: Request, webhook_id: str) -> Response:
        state = request.query_params.get("state")
        if state is not None and state not in DELIVERY_STATES:
            raise InvalidRequest(f"'state' must be one of {', '.join(DELIVERY_STATES)}.", param="state")
        rows = services.deliveries_of(_webhook(webhook_id), [state] if state else [])
        return Response(page(rows, request.query_params, prefix="whd", show=show_delivery))


class WebhookReplayView(OrganizationEndpoint):
    """Send an event again, under the same message id."""

    permission = Permission.WEBHOOK_WRITE

    @extend_schema(request=None, responses={202: DeliverySerializer})
    def post(self, request: Request, webhook_id: str, delivery_id: str) -> Response:
        wanted = ids.parse("whd", delivery_id, param="delivery_id")
        return Response(show_delivery(services.replay(_webhook(webhook_id), wanted)), status=202)


class WebhookEventsView(OrganizationEndpoint):
    """What webhooks can be told of."""

    permission = Permission.WEBHOOK_READ

    @extend_schema(responses=WebhookEventList)
    def get(self, request: Request) -> Response:
        shown = [{"name": each.name, "description": each.description} for each in catalogue.published()]
        return Response({"object": "list", "data": shown})


def show_webhook(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """A webhook, without its secret."""
    return {
        "id": endpoint.public_id,
        "url": endpoint.url,
        "events": endpoint.patterns,
        "enabled": endpoint.enabled,
        "disabled_because": endpoint.disabled_because or None,
        "failing_since": endpoint.failing_since,
        "previous_secret_until": endpoint.previous_secret_until,
        "created_at": endpoint.created_at,
        "updated_at": endpoint.updated_at,
    }


def show_delivery(delivery: WebhookDelivery) -> dict[str, Any]:
    """A delivery."""
    return {
        "id": delivery.public_id,
        "webhook_id": ids.render("whk", delivery.endpoint_id),
        "message_id": delivery.message_id,
        "event": delivery.event_name,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "status_code": delivery.status_code,
        "duration_milliseconds": delivery.duration_milliseconds,
        "fault": delivery.fault or None,
        "next_attempt_at": delivery.next_attempt_at,
        "created_at": delivery.created_at,
        "finished_at": delivery.finished_at,
    }


def _webhook(webhook_id: str, *, lock: bool = False) -> WebhookEndpoint:
    return services.find_webhook(ids.parse("whk", webhook_id, param="webhook_id"), lock=lock)
