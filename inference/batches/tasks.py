"""The worker's doors to batches: wake-ups, the schedule, and the word to stop."""

from typing import Any
from uuid import UUID

from celery import shared_task
from celery.signals import worker_shutting_down

from inference.batches.execution import runner, turns
from kernel.events.subscribers import Event, subscriber


@worker_shutting_down.connect(weak=False, dispatch_uid="batches.stop")
def stop(**_: Any) -> None:
    """Sent from the signal handler, between two steps of a turn: only note it here."""
    turns.stopping.set()


@subscriber(
    "inference.batch.created.v1", "inference.batch.cancel_requested.v1", queue="data", holds_scope=False
)
def wake(event: Event, *, organization_id: UUID) -> None:
    """Work on whatever waits. The event is only a wake-up: whose turn it is is PostgreSQL's to say."""
    runner.run_waiting()


@shared_task(name="inference.batches.tasks.run_waiting")
def run_waiting() -> None:
    """Work on what nobody was woken for: lost messages, dead workers, rests that are over."""
    runner.run_waiting()


@shared_task(name="inference.batches.tasks.remove_left_parts")
def remove_left_parts() -> None:
    """Tidy up after workers that died at the end of a batch."""
    runner.remove_left_parts()
