"""Who wants to hear of what: rooms subscribe Celery tasks to events by name."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from celery import Task

from kernel.tenancy.tasks import tenant_task


@dataclass(frozen=True)
class Subscription:
    """A task that wants an event, and the queue on which it is done."""

    task: Task[Any, Any]
    queue: str


# 10 s, 20 s, 40 s … up to 20 minutes between tries, nine in all.
PATIENCE: dict[str, Any] = {"retry_backoff": 10, "retry_backoff_max": 1200, "max_retries": 8}

_subscriptions: dict[str, list[Subscription]] = defaultdict(list)


@dataclass(frozen=True)
class Event:
    """An event as a subscriber receives it. `id` is the same on every delivery of the same event."""

    id: UUID
    name: str
    aggregate_id: UUID
    project_id: UUID | None
    payload: dict[str, Any]


Handler = Callable[..., None]


def subscriber(
    *names: str,
    queue: str = "default",
    holds_scope: bool = True,
    tried_again_after: tuple[type[Exception], ...] = (),
) -> Callable[[Handler], Task[Any, Any]]:
    """Run the function as a Celery task for each event of these names, at least once, in its organization.

    The function takes one `Event` (and the keyword `organization_id` when it holds no scope) and must
    bear being called twice with the same event. After the named faults it is called again, with growing
    pauses, for about an hour.
    """

    def decorate(function: Handler) -> Task[Any, Any]:
        def door(message: dict[str, Any], **kwargs: Any) -> None:
            function(_read(message), **kwargs)

        door.__module__, door.__name__ = function.__module__, function.__name__
        door.__doc__ = function.__doc__
        again = {"autoretry_for": tried_again_after, **PATIENCE} if tried_again_after else {}
        task = tenant_task(holds_scope=holds_scope, acks_late=holds_scope, **again)(door)
        for name in names:
            _subscriptions[name].append(Subscription(task, queue))
        return task

    return decorate


def subscriptions_to(name: str) -> list[Subscription]:
    """Who wants this event, in the order in which they subscribed."""
    return list(_subscriptions.get(name, ()))


def _read(message: dict[str, Any]) -> Event:
    return Event(
        id=UUID(message["id"]),
        name=message["name"],
        aggregate_id=UUID(message["aggregate_id"]),
        project_id=UUID(message["project_id"]) if message["project_id"] else None,
        payload=message["payload"],
    )
