"""A person's sessions: which there are, and ending them."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db.models.functions import Now
from django.http import HttpRequest

from kernel import ids
from kernel.audit.log import record
from kernel.errors import NotFound
from tenants.access.models import Member, User
from tenants.identity import trail
from tenants.identity.devices import device_of

PREFIX = "session"


@dataclass(frozen=True)
class Seen:
    """One session as its person sees it. The id says nothing of the cookie."""

    id: str
    device: str
    address: str
    created_at: datetime
    last_seen_at: datetime
    is_current: bool


def sessions_of(user: User, current_key: str | None) -> list[Seen]:
    """The person's living sessions, the one in use first and then by when they were seen."""
    rows = UserSession.objects.purge_and_list(user)
    found = [_seen(row, current_key) for row in rows]
    return sorted(found, key=lambda seen: (not seen.is_current, -seen.last_seen_at.timestamp()))


def end_session(request: HttpRequest, user: User, session_id: str) -> None:
    """End one session of the person. Raises `NotFound` where they have none of that id."""
    wanted = ids.parse(PREFIX, session_id, param="session_id")
    row = next((row for row in _rows(user) if _id_of(row) == wanted), None)
    if row is None:
        raise NotFound(f"You have no session '{session_id}'.", param="session_id")
    _end(row)
    trail.record_everywhere(request, user, "session.end", count=1)
    trail.tell_sessions_ended(user)


def end_other_sessions(request: HttpRequest, user: User) -> int:
    """End every session of the person but the one in use; answers how many that were."""
    current_key = request.session.session_key
    count = sum(_end(row) for row in _rows(user) if row.session_key != current_key)
    trail.record_everywhere(request, user, "session.end", count=count)
    trail.tell_sessions_ended(user)
    return count


def end_sessions_of_member(member: Member) -> int:
    """Sign a member of the current organization out everywhere; answers of how many sessions."""
    user: User = member.user
    count = sum(_end(row) for row in _rows(user))
    record("member.sign_out", member.public_id, count=count)
    trail.tell_sessions_ended(user)
    return count


def forget_expired() -> int:
    """Remove the sessions whose time is over, and what is listed of them; answers how many those were."""
    count, _ = Session.objects.filter(expire_date__lt=Now()).delete()
    UserSession.objects.exclude(session_key__in=Session.objects.values("session_key")).delete()
    return count


def _rows(user: User) -> list[UserSession]:
    return list(UserSession.objects.filter(user=user).order_by("pk"))


def _end(row: UserSession) -> bool:
    row.end()
    return True


def _seen(row: UserSession, current_key: str | None) -> Seen:
    return Seen(
        id=ids.render(PREFIX, _id_of(row)),
        device=device_of(row.user_agent),
        address=row.ip,
        created_at=row.created_at,
        last_seen_at=row.last_seen_at,
        is_current=row.session_key == current_key,
    )


def _id_of(row: UserSession) -> UUID:
    return UUID(bytes=hashlib.sha256(f"session-id:{row.session_key}".encode()).digest()[:16])
