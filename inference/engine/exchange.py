"""One HTTP exchange over raw ASGI: read a bounded body, answer with JSON or events, notice who left."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import orjson

from inference.engine.faults import BodyTooLarge, EngineFault, MalformedBody

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Iterable[tuple[str, str]]


class ClientGone(Exception):
    """The client closed its connection."""


class Exchange:
    """A request and the means to answer it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        self._receive, self._send = receive, send
        self.answering = self._answered = False

    async def body_pieces(self, limit: int) -> AsyncIterator[bytes]:
        """Yield the body as it comes; raise `BodyTooLarge` past `limit` bytes, `ClientGone` when cut."""
        size = 0
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            piece = message.get("body", b"")
            size += len(piece)
            if size > limit:
                raise BodyTooLarge(f"The body is larger than the allowed {limit} bytes.")
            yield piece
            more = message.get("more_body", False)

    async def json(self, limit: int) -> dict[str, Any]:
        """Return the body as a JSON object; raise `MalformedBody` when it is none."""
        raw = b"".join([piece async for piece in self.body_pieces(limit)])
        try:
            value = orjson.loads(raw)
        except orjson.JSONDecodeError as fault:
            raise MalformedBody(f"The body is not JSON: {fault}") from fault
        if not isinstance(value, dict):
            raise MalformedBody("The body is not a JSON object.")
        return value

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Run the block, but raise `ClientGone` in it as soon as the client leaves.

        Only after the body was read: until then the disconnect is told by `body_pieces`.
        """
        block = asyncio.current_task()
        gone = False

        async def watch() -> None:
            nonlocal gone
            while (await self._receive())["type"] != "http.disconnect":
                pass
            # The server says `disconnect` after a finished answer too.
            if block is not None and not self._answered:
                gone = True
                block.cancel()

        watcher = asyncio.create_task(watch())
        try:
            yield
        except asyncio.CancelledError:
            if not gone:
                raise
            raise ClientGone from None
        finally:
            watcher.cancel()

    async def answer(self, value: object, *, status: int = 200, headers: Headers = ()) -> None:
        """Answer once with JSON."""
        await self.raw(orjson.dumps(value), "application/json", status=status, headers=headers)

    async def raw(self, body: bytes, kind: str, *, status: int = 200, headers: Headers = ()) -> None:
        """Answer once with `body` of content type `kind`; an empty `kind` sends none."""
        typed = [("content-type", kind)] if kind else []
        await self._start(status, [*typed, ("content-length", str(len(body))), *headers])
        self._answered = True
        await self._send({"type": "http.response.body", "body": body})

    async def fail(self, fault: EngineFault) -> None:
        """Answer with a fault, in TGI's shape."""
        headers = [("retry-after", "1")] if fault.status in (429, 503) else []
        await self.answer(fault.body(), status=fault.status, headers=headers)

    async def stream(self, events: AsyncGenerator[bytes, None], headers: Headers) -> None:
        """Answer 200 with server-sent events."""
        fixed = [("content-type", "text/event-stream"), ("cache-control", "no-cache")]
        await self._start(200, [*fixed, ("x-accel-buffering", "no"), *headers])
        async with contextlib.aclosing(events):
            async for event in events:
                await self._send({"type": "http.response.body", "body": event, "more_body": True})
        self._answered = True
        await self._send({"type": "http.response.body", "body": b""})

    async def _start(self, status: int, headers: Headers) -> None:
        self.answering = True
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})


def event(value: object) -> bytes:
    """Return one server-sent event as TGI writes it."""
    return b"data: " + orjson.dumps(value) + b"\n\n"
