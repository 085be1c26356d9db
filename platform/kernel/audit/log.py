"""Write the audit log."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from kernel.audit.models import AuditEntry


@dataclass(frozen=True)
class Actor:
    """Who acts: `user-…`, `key_…` or `system`, and from which address, in which request."""

    name: str = "system"
    address: str = ""
    request_id: str = ""


_actor: ContextVar[Actor | None] = ContextVar("audit_actor", default=None)


@contextmanager
def acting_as(actor: Actor) -> Iterator[None]:
    """Everything recorded inside is recorded as this actor's."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


def record(action: str, target: str, **details: Any) -> None:
    """Record that the current actor did `action` on `target`, in the transaction of the act itself."""
    _write(action, target, "allowed", details)


def record_denial(action: str, target: str, **details: Any) -> None:
    """Record a refusal. Call it outside the refused act's transaction, which is rolled back."""
    with transaction.atomic():
        _write(action, target, "denied", details)


def _write(action: str, target: str, outcome: str, details: dict[str, Any]) -> None:
    actor = _actor.get() or Actor()
    AuditEntry.objects.create(
        actor=actor.name,
        action=action,
        target=target,
        outcome=outcome,
        address=actor.address,
        request_id=actor.request_id,
        details=details,
    )
