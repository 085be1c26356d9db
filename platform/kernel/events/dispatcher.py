"""Deliver the outbox: at least once, in order, to subscribers, followers and the consoles that look on."""

import threading
from typing import Any

import psycopg
import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from kernel.events.followers import tell_followers
from kernel.events.models import OutboxEvent
from kernel.events.outbox import CHANNEL
from kernel.events.subscribers import subscriptions_to
from kernel.ids import render
from kernel.tenancy.scope import across_tenants
from kernel.tenancy.tasks import HEADER

BATCH = 200
POLL_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 10.0

log = structlog.get_logger()


def run(stopping: threading.Event) -> None:
    """Deliver until `stopping` is set: woken by PostgreSQL's notifications, and by the clock as a net."""
    backoff = POLL_SECONDS
    while not stopping.is_set():
        try:
            _listen_and_deliver(stopping)
            backoff = POLL_SECONDS
        except Exception:
            # The broker or the database is away: events wait in the outbox, nothing is lost.
            log.exception("outbox.delivery_failed", retry_in_seconds=backoff)
            connection.close()
            stopping.wait(backoff)
            backoff = min(backoff * 2, MAX_BACKOFF_SECONDS)


def deliver_waiting(stopping: threading.Event | None = None) -> None:
    """Deliver what waits, in order, until nothing does or `stopping` is set.

    Raises when the broker does not take a message; what was not delivered then goes on waiting.
    """
    while _deliver_batch() == BATCH:
        if stopping is not None and stopping.is_set():
            return


def _deliver_batch() -> int:
    with across_tenants():
        waiting = list(
            OutboxEvent.objects.select_for_update(skip_locked=True)
            .filter(dispatched_at=None)
            .order_by("sequence")[:BATCH]
        )
        for event in waiting:
            _send(event)
        tell_followers(waiting)
        OutboxEvent.objects.filter(pk__in=[event.pk for event in waiting]).update(dispatched_at=Now())
    return len(waiting)


def group_of(organization_id: Any) -> str:
    """The WebSocket group in which an organization's events are told."""
    return f"events.{organization_id.hex}"


def connection_parameters() -> dict[str, Any]:
    """What a connection of our own, outside the pool, is opened with."""
    database = settings.DATABASES["default"]
    return {
        "dbname": database["NAME"],
        "user": database["USER"],
        "password": database["PASSWORD"],
        "host": database["HOST"],
        "port": database["PORT"],
        "connect_timeout": 5,
    }


def _listen_and_deliver(stopping: threading.Event) -> None:
    with psycopg.connect(**connection_parameters(), autocommit=True) as listener:
        listener.execute(f"LISTEN {CHANNEL}")
        while not stopping.is_set():
            deliver_waiting(stopping)
            for _ in listener.notifies(timeout=POLL_SECONDS, stop_after=1):
                pass


def _send(event: OutboxEvent) -> None:
    message = {
        "id": str(event.id),
        "name": event.name,
        "aggregate_id": str(event.aggregate_id),
        "project_id": str(event.project_id) if event.project_id else None,
        "payload": event.payload,
    }
    headers = {HEADER: str(event.organization_id)}
    for wish in subscriptions_to(event.name):
        wish.task.apply_async(args=(message,), headers=headers, queue=wish.queue, retry=False)
    if event.resource:
        _tell_consoles(event)


def _tell_consoles(event: OutboxEvent) -> None:
    layer = get_channel_layer()
    if layer is None:
        return
    async_to_sync(layer.group_send)(
        group_of(event.organization_id),
        {
            "type": "resource.changed",
            "name": event.name,
            "resource": event.resource,
            "id": event.resource_id,
            "project_id": render("proj", event.project_id) if event.project_id else None,
        },
    )
