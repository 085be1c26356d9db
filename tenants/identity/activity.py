"""When and from where each session was seen last, for the list that people end sessions by."""

import threading
import time
from collections.abc import Callable

from allauth.usersessions.models import UserSession
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse

from kernel.api.callers import address_of

# Often enough for a person who looks at the list; seldom enough to cost nothing.
EVERY_SECONDS = 60.0
MAX_REMEMBERED = 10_000

_noted: dict[str, float] = {}
_lock = threading.Lock()


def note_activity(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Note each session once a minute at most, in each process."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        session_key = request.session.session_key
        if session_key and _is_due(session_key):
            seen = {"last_seen_at": Now()}
            address = address_of(request)
            UserSession.objects.filter(session_key=session_key).update(
                **seen, **({"ip": address} if address else {})
            )
        return response

    return middleware


def _is_due(session_key: str) -> bool:
    now = time.monotonic()
    with _lock:
        if now - _noted.get(session_key, -EVERY_SECONDS) < EVERY_SECONDS:
            return False
        if len(_noted) >= MAX_REMEMBERED:
            _noted.clear()
        _noted[session_key] = now
    return True
