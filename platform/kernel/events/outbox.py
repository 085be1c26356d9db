"""Say that something happened, in the transaction in which it happens."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connection

from kernel.events.models import OutboxEvent
from kernel.tenancy.scope import current_organization_id

CHANNEL = "outbox"


@dataclass(frozen=True)
class Happening:
    """What happened, named `room.noun.past_verb.v1`, and to which aggregate (its events stay in order)."""

    name: str
    aggregate_id: UUID
    project_id: UUID | None = None
    resource: str = ""
    resource_id: str = ""
    payload: dict[str, Any] = field(default_factory=dict)


def emit(happening: Happening) -> None:
    """Write the event to the outbox of the current organization and wake the dispatcher at commit.

    The payload carries ids and counts, never content. Raises `NoTenant` outside `acting_for`.
    """
    organization_id = current_organization_id()
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('events_outbox_sequence'), pg_notify(%s, '')", [CHANNEL])
        sequence = cursor.fetchone()[0]
    OutboxEvent.objects.create(
        organization_id=organization_id,
        sequence=sequence,
        name=happening.name,
        aggregate_id=happening.aggregate_id,
        project_id=happening.project_id,
        resource=happening.resource,
        resource_id=happening.resource_id,
        payload=happening.payload,
    )
