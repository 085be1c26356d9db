"""Sign-ins that were begun: tied to the browser that began them, and each used once.

The browser's session holds what must come back. Valkey holds what may come back only once, and what comes
by a form from another site, with which no cookie travels: it is picked up by the browser's next request.
"""

import hashlib
import secrets
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from django.contrib.sessions.backends.base import SessionBase
from django.core.cache import cache

SESSION_KEY = "sso_pending"
# A browser may have some tabs open at sign-in pages.
MAX_PENDING = 5
LIFETIME_SECONDS = 600
TICKET_SECONDS = 60


@dataclass(frozen=True)
class Pending:
    """A sign-in that was begun in this browser at one provider of one organization."""

    organization: str
    provider: str
    next: str = ""
    nonce: str = ""
    verifier: str = ""


def remember(session: SessionBase, key: str, pending: Pending) -> None:
    """Keep it in the browser's session until it is taken, or pushed out by newer ones."""
    kept = dict(list(session.get(SESSION_KEY, {}).items())[-(MAX_PENDING - 1) :])
    session[SESSION_KEY] = {**kept, key: asdict(pending)}


def take(session: SessionBase, key: str) -> Pending | None:
    """What was begun under this state or request, once; None when this browser did not begin it."""
    kept = dict(session.get(SESSION_KEY, {}))
    found = kept.pop(key, None)
    if found is None:
        return None
    session[SESSION_KEY] = kept
    return Pending(**found)


def first_use(organization_id: UUID, kind: str, value: str, *, seconds: int) -> bool:
    """Whether the value was never used before, in this organization; it is remembered for so long."""
    return bool(cache.add(_key(organization_id, f"used:{kind}", value), 1, timeout=max(seconds, 1)))


def expect(organization_id: UUID, provider_id: UUID, request_id: str) -> None:
    """Remember that a request was sent, for the response that comes without a cookie."""
    cache.set(_key(organization_id, "request", request_id), str(provider_id), timeout=LIFETIME_SECONDS)


def was_expected(organization_id: UUID, provider_id: UUID, request_id: str) -> bool:
    """Whether this provider was asked that request; true once."""
    key = _key(organization_id, "request", request_id)
    return cache.get(key) == str(provider_id) and bool(cache.delete(key))


def leave_ticket(organization_id: UUID, content: dict[str, Any]) -> str:
    """Put down a verified arrival for the browser's next request; the ticket opens it once."""
    ticket = secrets.token_urlsafe(32)
    cache.set(_key(organization_id, "ticket", ticket), content, timeout=TICKET_SECONDS)
    return ticket


def pick_up(organization_id: UUID, ticket: str) -> dict[str, Any] | None:
    """The arrival that was put down, once."""
    key = _key(organization_id, "ticket", ticket)
    content = cache.get(key)
    if content is None or not cache.delete(key):
        return None
    return dict(content)


def _key(organization_id: UUID, kind: str, value: str) -> str:
    return f"lw:{organization_id}:sso:{kind}:{hashlib.sha256(value.encode()).hexdigest()}"
