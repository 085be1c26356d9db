"""Write the audit log."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction

from kernel.audit.canonical import SALT_BYTES
from kernel.audit.models import AuditEntry
from kernel.crypto import keys
from kernel.crypto.errors import KeyDestroyed, KeyUnavailable

log = structlog.get_logger()


@dataclass(frozen=True)
class Actor:
    """Who acts: `user-…`, `key_…` or `system`, and from which address, in which request.

    `person` stands behind the actor: the one who is signed in, or who made the key.
    """

    name: str = "system"
    address: str = ""
    request_id: str = ""
    person: UUID | None = None


_actor: ContextVar[Actor | None] = ContextVar("audit_actor", default=None)


@contextmanager
def acting_as(actor: Actor) -> Iterator[None]:
    """Everything recorded inside is recorded as this actor's."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


@contextmanager
def acting_by_name(name: str) -> Iterator[None]:
    """What is recorded inside is this other actor's (an identity provider's, say), in the same request."""
    with acting_as(replace(_actor.get() or Actor(), name=name, person=None)):
        yield


def prepare(organization_id: UUID) -> None:
    """Have the key at hand that seals the current actor's address. Call it before a transaction begins.

    A person's first key is made on a connection of its own. Inside a transaction that is a second one, which
    a pool could not give to many first acts at once.
    """
    actor = _actor.get()
    if actor is not None and actor.address:
        with suppress(KeyDestroyed, KeyUnavailable):
            keys.key_for(organization_id, actor.person or organization_id)


def record(action: str, target: str, **details: Any) -> None:
    """Record that the current actor did `action` on `target`, in the transaction of the act itself."""
    _write(action, target, "allowed", details)


def record_denial(action: str, target: str, **details: Any) -> None:
    """Record a refusal. Call it outside the refused act's transaction, which is rolled back."""
    with transaction.atomic():
        _write(action, target, "denied", details)


def _write(action: str, target: str, outcome: str, details: dict[str, Any]) -> None:
    actor = _actor.get() or Actor()
    entry = AuditEntry(
        actor=actor.name,
        person=actor.person,
        action=action,
        target=target,
        outcome=outcome,
        request_id=actor.request_id,
        details=details,
    )
    if actor.address:
        _keep_address(entry, actor.address)
    entry.save(force_insert=True)


def _keep_address(entry: AuditEntry, address: str) -> None:
    try:
        entry.keep_address(os.urandom(SALT_BYTES), address)
    except KeyUnavailable:
        # The act is recorded all the same, and the request's id leads to the address in the web server's
        # log: whoever takes their key away must not lock themselves out of what sets it right.
        entry.address_commitment = b""
        log.warning("audit.address_not_kept", organization_id=str(entry.organization_id))
