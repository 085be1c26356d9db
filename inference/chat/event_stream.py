"""An answer as server-sent events: a socket's frames, each token with its number, for one who may see them.

A browser that lost the connection asks again by itself, with the last number in `Last-Event-ID`. After the
last event it is told by 204 to ask no more (https://html.spec.whatwg.org/multipage/server-sent-events.html).
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any
from uuid import UUID

import structlog
from django.db import OperationalError
from django.http import StreamingHttpResponse
from psycopg_pool import PoolTimeout
from rest_framework.utils.encoders import JSONEncoder

from inference.chat import streams
from inference.chat.following import Frame, error_frame, follow
from inference.chat.sockets import RECHECK_SHOWING_SECONDS, declared, on_database
from kernel.errors import DomainError, InvalidRequest, Unauthenticated

OVER = "over"
MAX_FOLLOWED = 8
MAX_DIGITS = 8
KEEP_ALIVE = b": keep-alive\n\n"

_followed: dict[UUID, int] = {}

log = structlog.get_logger()


class TooManyStreams(DomainError):
    """The person follows as many answers as they may."""

    code, status = "too_many_streams", 429
    message = f"At most {MAX_FOLLOWED} answers are followed at a time; close another page first."


class EventStream(StreamingHttpResponse):
    """Events as they come. No proxy shall collect them first."""

    def __init__(self, events: AsyncIterator[bytes]) -> None:
        super().__init__(events, content_type="text/event-stream")
        self["X-Accel-Buffering"] = "no"


def read_number(text: str, param: str) -> int:
    """The number of the last token that was seen; 0 for none. Raises `InvalidRequest`."""
    is_number = text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
    if not is_number or int(text) > streams.MAX_ENTRIES:
        raise InvalidRequest(f"'{param}' must be the number of a token, or 0.", param=param)
    return int(text)


async def events_of(
    organization_id: UUID, message_id: UUID, after: int, *, person: UUID, may_see: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """The events that follow token `after`, to the end of the answer.

    Whether they may still be seen is asked every few seconds: when not, the last event is an error.
    """
    try:
        with _counted(person):
            async with aclosing(follow(organization_id, message_id, after)) as frames:
                async for frame in _while(may_see, frames):
                    yield KEEP_ALIVE if frame is None else written(frame)
    except Exception as fault:
        yield written(error_frame(declared(fault).body()["error"], message_id))


def written(frame: Frame) -> bytes:
    """A frame as an event. Those with a number can be gone on after; the last one has `over`."""
    number = OVER if frame["type"] == "message.finished" else frame.get("seq")
    identifier = "" if number is None else f"id: {number}\n"
    document = json.dumps(frame, cls=JSONEncoder, ensure_ascii=False)
    return f"{identifier}event: {frame['type']}\ndata: {document}\n\n".encode()


async def _while(may_see: Callable[[], bool], frames: AsyncIterator[Frame]) -> AsyncIterator[Frame | None]:
    """The frames as long as they may be seen; None now and then, while there are none.

    Raises `Unauthenticated` when they may not any more.
    """
    checked = time.monotonic()
    waiting: asyncio.Task[Any] | None = None
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(_next(frames))
            left = checked + RECHECK_SHOWING_SECONDS - time.monotonic()
            done, _ = await asyncio.wait({waiting}, timeout=max(0.0, left))
            if time.monotonic() >= checked + RECHECK_SHOWING_SECONDS:
                await _require(may_see)
                checked = time.monotonic()
                yield None
            if not done:
                continue
            frame, waiting = waiting.result(), None
            if frame is None:
                return
            yield frame
    finally:
        if waiting is not None:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)


async def _next(frames: AsyncIterator[Frame]) -> Frame | None:
    return await anext(frames, None)


async def _require(may_see: Callable[[], bool]) -> None:
    """Raises `Unauthenticated` unless it may be seen, as far as can be known now."""
    try:
        allowed = await on_database(may_see)
    except (OperationalError, PoolTimeout):
        log.warning("event_stream.not_rechecked")
        return
    if not allowed:
        raise Unauthenticated("Your session has ended, or you may not see this any more: sign in again.")


def require_room(person: UUID) -> None:
    """Raises `TooManyStreams` where the person follows as many answers as they may, in this process."""
    if _followed.get(person, 0) >= MAX_FOLLOWED:
        raise TooManyStreams


@contextmanager
def _counted(person: UUID) -> Iterator[None]:
    """One answer more that the person follows. Raises `TooManyStreams`."""
    require_room(person)
    _followed[person] = _followed.get(person, 0) + 1
    try:
        yield
    finally:
        _followed[person] -= 1
        if not _followed[person]:
            del _followed[person]
