"""The Celery door: a task that carries its organization in the message's header."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from celery import Task, shared_task

from kernel.audit.log import Actor, acting_as
from kernel.tenancy.scope import NoTenant, acting_for

HEADER = "organization_id"


def tenant_task(
    *, holds_scope: bool = True, **options: Any
) -> Callable[[Callable[..., None]], Task[Any, Any]]:
    """Make a Celery task whose organization travels in the message's header.

    With `holds_scope` the body runs inside `acting_for`, in one transaction. Long work says
    `holds_scope=False`, takes the keyword `organization_id` and opens short scopes itself.
    """

    def decorate(function: Callable[..., None]) -> Task[Any, Any]:
        @wraps(function)
        def door(task: Task[Any, Any], *args: Any, **kwargs: Any) -> None:
            organization_id = _organization_of(task)
            # What a task does, the platform does; its message's id leads to why.
            with acting_as(Actor(request_id=task.request.id or "")):
                if not holds_scope:
                    function(*args, organization_id=organization_id, **kwargs)
                    return
                with acting_for(organization_id):
                    function(*args, **kwargs)

        name = f"{function.__module__}.{function.__name__}"
        make: Any = shared_task(bind=True, name=name, **options)
        task: Task[Any, Any] = make(door)
        return task

    return decorate


def _organization_of(task: Task[Any, Any]) -> UUID:
    text = (task.request.headers or {}).get(HEADER) or task.request.get(HEADER)
    if not text:
        raise NoTenant(f"The task {task.name} was sent without the header '{HEADER}'.")
    return UUID(text)
