"""The worker's doors to webhooks."""

from collections.abc import Sequence

from celery import shared_task

from kernel.events.followers import follower
from kernel.events.models import OutboxEvent
from kernel.events.subscribers import Event, subscriber
from kernel.webhooks import execution, planning
from kernel.webhooks.services import DUE


@shared_task(name="kernel.webhooks.tasks.send_due")
def send_due() -> None:
    """Send the deliveries that are due."""
    execution.send_due()


@follower
def plan_deliveries(events: Sequence[OutboxEvent]) -> None:
    """Turn events into deliveries, and send them as soon as they are committed."""
    planning.plan(events, wake=_wake)


def _wake() -> None:
    send_due.apply_async(retry=False)


@subscriber(DUE, holds_scope=False)
def send_what_was_asked_for(event: Event, **_: object) -> None:
    """Send a test or a replay now, and what waited while its endpoint was disabled."""
    execution.send_due()
