"""From an event to the deliveries that it causes, in the transaction that marks it dispatched."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from kernel import ids
from kernel.events.models import OutboxEvent
from kernel.webhooks.catalogue import is_public, matches
from kernel.webhooks.models import WebhookDelivery, WebhookEndpoint


def plan(events: Sequence[OutboxEvent], wake: Callable[[], object]) -> None:
    """Write a delivery for every endpoint that wants one of these events, and `wake` who sends them.

    Works in whatever scope the dispatcher is in, which crosses organizations. Planning the same event twice
    plans it once.
    """
    public = [event for event in events if is_public(event.name)]
    if not public:
        return
    wanting = _endpoints_of({event.organization_id for event in public})
    rows = [
        delivery_of(endpoint, event.id, event.name, payload_of(event))
        for event in public
        for endpoint in wanting[event.organization_id]
        if any(matches(pattern, event.name) for pattern in endpoint.patterns)
    ]
    if rows:
        WebhookDelivery.objects.bulk_create(rows, ignore_conflicts=True)
        # A broker that is away must not hold the outbox up: the schedule sends what nobody was woken for.
        transaction.on_commit(wake, robust=True)


def delivery_of(
    endpoint: WebhookEndpoint, event_id: UUID, name: str, payload: dict[str, Any]
) -> WebhookDelivery:
    """A delivery that waits to be sent now."""
    return WebhookDelivery(
        organization_id=endpoint.organization_id,
        endpoint=endpoint,
        event_id=event_id,
        event_name=name,
        payload=payload,
    )


def payload_of(event: OutboxEvent) -> dict[str, Any]:
    """What the customer is told: which of their objects it was, and never what is in it; beside that what
    the event itself says is to be told.
    """
    project = ids.render("proj", event.project_id) if event.project_id else None
    return payload(
        event.name,
        event.created_at,
        object=event.resource or None,
        id=event.resource_id or None,
        project_id=project,
        organization_id=ids.render("org", event.organization_id),
        **event.payload.get("told", {}),
    )


def payload(name: str, moment: datetime, **data: str | None) -> dict[str, Any]:
    """The body that Standard Webhooks recommends."""
    return {"type": name, "timestamp": moment.astimezone(UTC).isoformat(), "data": data}


def _endpoints_of(organizations: Iterable[UUID]) -> dict[UUID, list[WebhookEndpoint]]:
    found: dict[UUID, list[WebhookEndpoint]] = defaultdict(list)
    for endpoint in WebhookEndpoint.objects.filter(organization_id__in=organizations, enabled=True):
        found[endpoint.organization_id].append(endpoint)
    return found
