"""The same request twice creates one thing: idempotency keys of POSTs.

The answer is kept in the transaction of the act itself, so that a crash leaves both or neither. While a
request runs, a lock of its transaction stands for it; a second one is told to come again.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.models.functions import Now
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from kernel.api.models import KeptAnswer
from kernel.errors import Conflict, InvalidRequest
from kernel.tenancy.scope import across_tenants, current_organization_id

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
KEPT_FOR = timedelta(hours=24)
RETRY_AFTER_SECONDS = 1
FORM = "multipart/form-data"
_KEY = re.compile(r"[\x20-\x7e]{1,255}")


class BadIdempotencyKey(InvalidRequest):
    """The header is not usable as a key."""

    code = "invalid_idempotency_key"
    message = f"The header '{HEADER}' must have 1 to 255 printable ASCII characters."


class IdempotencyKeyReused(Conflict):
    """The key stands for another request already."""

    code = "idempotency_key_reused"
    message = "This idempotency key was used for another request; take a new key for each new request."


class RequestInProgress(Conflict):
    """The first request with this key is still running."""

    code = "request_in_progress"
    message = "A request with this idempotency key is still running; try again in a second."
    retry_after_seconds = RETRY_AFTER_SECONDS


@dataclass(frozen=True)
class Call:
    """One request that wants to be done once: whose, under which key, and what it asks."""

    caller: str
    key: str
    fingerprint: str


def call_of(request: Request, *, caller: str, place: str) -> Call | None:
    """The request as a call to be done once, or None where it does not ask for that.

    `place` is what the same address means to this caller (the chosen project). Raises `BadIdempotencyKey`.
    """
    key = request.headers.get(HEADER)
    if request.method != "POST" or key is None:
        return None
    if not _KEY.fullmatch(key):
        raise BadIdempotencyKey(param=HEADER)
    return Call(caller, key, _fingerprint(request, place))


def answer_once(call: Call, request: Request, act: Callable[[], Any]) -> Any:
    """Do the act and keep its answer, or give the kept one. Call it inside the transaction of the act.

    An act that raises keeps nothing, since it created nothing. Raises `IdempotencyKeyReused`,
    `RequestInProgress`.
    """
    if not _alone(call):
        raise RequestInProgress
    kept = KeptAnswer.objects.filter(caller=call.caller, key=call.key).first()
    if kept is not None and _still_kept(kept):
        if kept.fingerprint != call.fingerprint:
            raise IdempotencyKeyReused(param=HEADER)
        answer = HttpResponse(kept.body, status=kept.status, content_type=kept.content_type)
        answer[REPLAYED] = "true"
        return answer
    if kept is not None:
        kept.delete()
    response = act()
    if isinstance(response, Response) and response.status_code < 400:
        _keep(call, request, response)
    return response


def prune() -> int:
    """Forget answers older than a day, of all organizations. Returns how many."""
    with across_tenants():
        forgotten, _ = KeptAnswer.objects.filter(created_at__lt=Now() - KEPT_FOR).delete()
    return forgotten


def _alone(call: Call) -> bool:
    """Whether no other transaction does this call; the lock goes with our transaction."""
    name = "\0".join((str(current_organization_id()), call.caller, call.key))
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
        return bool(cursor.fetchone()[0])


def _still_kept(kept: KeptAnswer) -> bool:
    return KeptAnswer.objects.filter(pk=kept.pk, created_at__gte=Now() - KEPT_FOR).exists()


def _keep(call: Call, request: Request, response: Response) -> None:
    renderer = request.accepted_renderer
    body: Any = b""
    if response.data is not None:
        context = {"view": None, "request": request, "response": response}
        body = renderer.render(response.data, request.accepted_media_type, context)
    row = KeptAnswer(
        organization_id=current_organization_id(),
        caller=call.caller,
        key=call.key,
        fingerprint=call.fingerprint,
        status=response.status_code,
        content_type=renderer.media_type,
    )
    row.body = body
    row.save(force_insert=True)


def _fingerprint(request: Request, place: str) -> str:
    digest = hashlib.sha256()
    for part in (request.method, request.get_full_path(), place):
        _add(digest, str(part).encode())
    if (request.content_type or "").partition(";")[0].strip().lower() == FORM:
        _add_form(digest, request)
    else:
        _add(digest, request.body)
    return digest.hexdigest()


def _add_form(digest: Any, request: Request) -> None:
    # The boundary between a form's parts is another one each time: what counts is the parts.
    for name, values in sorted(request.POST.lists()):
        for value in values:
            _add(digest, name.encode())
            _add(digest, str(value).encode())
    for name, files in sorted(request.FILES.lists()):
        for file in files:
            _add(digest, name.encode())
            _add(digest, (file.name or "").encode())
            content = hashlib.sha256()
            for chunk in file.chunks():
                content.update(chunk)
            file.seek(0)
            _add(digest, content.digest())


def _add(digest: Any, part: bytes) -> None:
    # Its length comes first, so that no two sequences of parts look alike.
    digest.update(len(part).to_bytes(8, "big"))
    digest.update(part)
