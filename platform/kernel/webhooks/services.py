"""What an administrator asks for: webhooks made, changed, tried, their deliveries repeated."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from kernel import ids
from kernel.audit.log import record
from kernel.egress import destinations
from kernel.egress.errors import EgressFault
from kernel.events.outbox import Happening, emit
from kernel.tenancy.scope import current_organization_id
from kernel.webhooks.catalogue import check_patterns
from kernel.webhooks.errors import TooManyWebhooks, WebhookDisabled, WebhookUnknown
from kernel.webhooks.models import DeliveryState, DisabledBecause, WebhookDelivery, WebhookEndpoint
from kernel.webhooks.planning import delivery_of, payload
from kernel.webhooks.signing import new_secret

MAX_ENDPOINTS = 20
TEST = "kernel.webhook.tested.v1"
# Wakes who sends; it goes through the outbox, so that a crash after the commit loses nothing.
DUE = "kernel.webhook.due.v1"


@dataclass(frozen=True)
class NewEndpoint:
    """An endpoint with the secret that is never shown again."""

    endpoint: WebhookEndpoint
    secret: str = field(repr=False)


def check_url(url: str) -> None:
    """Refuse an address that could not be told anything. Looks its name up, so hold no transaction.

    Raises `EgressFault`.
    """
    try:
        destinations.check(url)
    except EgressFault as fault:
        fault.param = "url"
        raise


def create_webhook(url: str, patterns: list[str], *, enabled: bool = True) -> NewEndpoint:
    """An endpoint at an address that `check_url` let pass. Raises `UnknownEvent`, `TooManyWebhooks`."""
    wanted = check_patterns(patterns)
    _lock_number_of_endpoints()
    if WebhookEndpoint.objects.count() >= MAX_ENDPOINTS:
        raise TooManyWebhooks(f"An organization may have {MAX_ENDPOINTS} webhooks; delete one first.")
    endpoint = WebhookEndpoint(
        organization_id=current_organization_id(),
        url=url,
        patterns=wanted,
        enabled=enabled,
        disabled_because="" if enabled else DisabledBecause.ASKED.value,
    )
    secret = new_secret()
    endpoint.secret = secret
    endpoint.save(force_insert=True)
    endpoint.refresh_from_db()
    record("webhook.create", endpoint.public_id, **_told(endpoint))
    return NewEndpoint(endpoint, secret)


def find_webhook(webhook_id: UUID, *, lock: bool = False) -> WebhookEndpoint:
    """Raises `WebhookUnknown`."""
    rows = WebhookEndpoint.objects.select_for_update() if lock else WebhookEndpoint.objects.all()
    found: WebhookEndpoint | None = rows.filter(pk=webhook_id).first()
    if found is None:
        raise WebhookUnknown
    return found


def change_webhook(endpoint: WebhookEndpoint, changes: dict[str, Any]) -> None:
    """Change `url` (that `check_url` let pass), `patterns`, `enabled`. Enabling starts a new count of days.

    Raises `UnknownEvent`.
    """
    before = _told(endpoint)
    endpoint.url = changes.get("url", endpoint.url)
    if "patterns" in changes:
        endpoint.patterns = check_patterns(changes["patterns"])
    if "enabled" in changes and changes["enabled"] != endpoint.enabled:
        endpoint.enabled = changes["enabled"]
        endpoint.disabled_because = "" if endpoint.enabled else DisabledBecause.ASKED.value
        endpoint.failing_since = None
    endpoint.updated_at = Now()
    endpoint.save()
    endpoint.refresh_from_db()
    record("webhook.update", endpoint.public_id, before=before, after=_told(endpoint))
    if endpoint.enabled:
        _wake(endpoint)


def delete_webhook(endpoint: WebhookEndpoint) -> None:
    """Delete an endpoint with its deliveries; what is being sent may still arrive."""
    record("webhook.delete", endpoint.public_id, **_told(endpoint))
    WebhookDelivery.objects.filter(endpoint=endpoint).delete()
    endpoint.delete()


def rotate_secret(endpoint: WebhookEndpoint, *, overlap: timedelta) -> NewEndpoint:
    """Replace the secret; the one before signs as well for the time of the overlap."""
    secret = new_secret()
    endpoint.replace_secret(secret, previous_until=timezone.now() + overlap)
    endpoint.updated_at = Now()
    endpoint.save()
    endpoint.refresh_from_db()
    seconds = int(overlap.total_seconds())
    record("webhook.rotate_secret", endpoint.public_id, overlap_seconds=seconds)
    return NewEndpoint(endpoint, secret)


def send_test(endpoint: WebhookEndpoint) -> WebhookDelivery:
    """Send a message of the test's own type. Raises `WebhookDisabled`."""
    if not endpoint.enabled:
        raise WebhookDisabled
    data = payload(TEST, timezone.now(), object="webhook", id=endpoint.public_id)
    delivery = delivery_of(endpoint, ids.uuid7(), TEST, data)
    delivery.save(force_insert=True)
    delivery.refresh_from_db()
    record("webhook.test", endpoint.public_id, delivery=delivery.public_id)
    _wake(endpoint)
    return delivery


def deliveries_of(endpoint: WebhookEndpoint, states: Sequence[str] = ()) -> "QuerySet[WebhookDelivery]":
    """The endpoint's deliveries, in these states if any are named."""
    rows: QuerySet[WebhookDelivery] = WebhookDelivery.objects.filter(endpoint=endpoint)
    return rows.filter(state__in=states) if states else rows


def replay(endpoint: WebhookEndpoint, delivery_id: UUID) -> WebhookDelivery:
    """Send an event again under the same message id, from its first attempt on.

    One that is being sent now is left to it. Raises `WebhookUnknown`, `WebhookDisabled`.
    """
    rows = WebhookDelivery.objects.select_for_update()
    delivery: WebhookDelivery | None = rows.filter(pk=delivery_id, endpoint=endpoint).first()
    if delivery is None:
        raise WebhookUnknown("There is no such delivery.")
    if not endpoint.enabled:
        raise WebhookDisabled
    delivery.state = DeliveryState.WAITING.value
    delivery.attempts = 0
    delivery.next_attempt_at = Now()
    delivery.finished_at = None
    delivery.save()
    delivery.refresh_from_db()
    record("webhook.replay", endpoint.public_id, delivery=delivery.public_id)
    _wake(endpoint)
    return delivery


def _wake(endpoint: WebhookEndpoint) -> None:
    emit(Happening(DUE, aggregate_id=endpoint.pk))


def _told(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return {"host": endpoint.host, "events": list(endpoint.patterns), "enabled": endpoint.enabled}


def _lock_number_of_endpoints() -> None:
    # Two at once could each count the same number and both add one.
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"webhooks {current_organization_id()}"]
        )
