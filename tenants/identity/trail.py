"""What people do with their sign-in, in the audit log of each of their organizations.

A person is not an organization's; what concerns their sign-in is written wherever they are a member.
"""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest

from kernel.api import callers
from kernel.audit.log import Actor, acting_as, record, record_denial
from kernel.events.outbox import Happening, emit
from kernel.tenancy.scope import acting_for
from tenants.access import sessions
from tenants.access.models import User

SESSION_ENDED = "tenants.session.ended.v1"
SESSION = "session"


def actor_of(request: HttpRequest, user: User | None) -> Actor:
    """The person as the actor of this request; whoever was not recognised acts as nobody."""
    if user is None:
        return callers.actor_of(request, "system")
    return callers.actor_of(request, user.public_id, user.pk)


def record_everywhere(request: HttpRequest, user: User, action: str, **details: Any) -> None:
    """Record in each of the person's organizations what they did to their own account."""
    _everywhere(actor_of(request, user), user, lambda: record(action, user.public_id, **details))


def record_refusal_everywhere(request: HttpRequest, user: User, action: str, **details: Any) -> None:
    """Record in each of the person's organizations that somebody tried to be them and was refused."""
    _everywhere(actor_of(request, None), user, lambda: record_denial(action, user.public_id, **details))


def tell_sessions_ended(user: User) -> None:
    """Have every open socket of the person look at once whether its session still stands for anyone."""
    ended = Happening(SESSION_ENDED, user.pk, resource=SESSION, resource_id=user.public_id)
    _everywhere(Actor(user.public_id, person=user.pk), user, lambda: emit(ended))


def _everywhere(actor: Actor, user: User, write: Callable[[], None]) -> None:
    for membership in sessions.memberships_of(user):
        with acting_as(actor), acting_for(membership.organization_id):
            write()
