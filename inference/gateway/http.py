"""ASGI at its lowest: reading a body within bounds, answering, and noticing that the client has left."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol, Self
from uuid import UUID

import orjson

from inference.gateway.contract import IN_PROCESS, GatewayConfig, InProcessCall
from inference.gateway.faults import (
    BodyTimedOut,
    BodyTooLarge,
    GatewayFault,
    InvalidValue,
    UnsupportedMediaType,
)
from inference.gateway.ids import uuid7

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

KEEP_ALIVE = b": keep-alive\n\n"
_VERSION = (b"openai-version", b"2020-10-01")
_CONTROL = bytes([*range(0x20), 0x7F])
_MAX_CLIENT_REQUEST_ID = 512
_UNWATCHED_SECONDS = 0.02
_JSON = (b"content-type", b"application/json")
_EVENTS: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class ClientLeft(Exception):
    """Nobody waits for the answer any more."""


class FaultWriter(Protocol):
    """How an API tells a fault."""

    def status(self, fault: GatewayFault) -> int:
        """The answer's status."""
        ...

    def body(self, fault: GatewayFault) -> bytes:
        """The answer's body."""
        ...

    def event(self, fault: GatewayFault) -> bytes:
        """The last event of a stream that has begun."""
        ...


class OpenAiFaults:
    """OpenAI's error object."""

    def status(self, fault: GatewayFault) -> int:
        """As the fault declares it."""
        return fault.status

    def body(self, fault: GatewayFault) -> bytes:
        """`{"error": {"message", "type", "param", "code"}}`."""
        return orjson.dumps(fault.body())

    def event(self, fault: GatewayFault) -> bytes:
        """The error object as data."""
        return b"data: %b\n\n" % self.body(fault)


class Exchange:
    """One request and its answer. `status` is 0 until the answer has begun; `facts` go to the log line.

    `faults` writes what goes wrong in the words of the API that was asked.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._began = time.perf_counter()
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.raw_path: bytes = scope.get("raw_path") or self.path.encode()
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.peer: str = (scope.get("client") or ("", 0))[0]
        self.call: InProcessCall | None = scope.get(IN_PROCESS)
        self.request_id: UUID = self.call.request_id if self.call else uuid7()
        self.extra_headers: Headers = []
        self.status = 0
        self.facts: dict[str, object] = {}
        self.faults: FaultWriter = OpenAiFaults()

    def note_client_request_id(self) -> None:
        """Keep the caller's own name for the request for the log. Raises `InvalidValue`."""
        named = self.headers.get(b"x-client-request-id")
        if named is None:
            return
        printable = named.isascii() and named.translate(None, _CONTROL) == named
        if len(named) > _MAX_CLIENT_REQUEST_ID or not printable:
            raise InvalidValue(
                f"Invalid header 'X-Client-Request-Id': expected at most {_MAX_CLIENT_REQUEST_ID} printable "
                "ASCII characters.",
                param="X-Client-Request-Id",
            )
        self.facts["client_request_id"] = named.decode("ascii")

    @property
    def elapsed_ms(self) -> float:
        """Milliseconds since the request arrived."""
        return (time.perf_counter() - self._began) * 1000

    @property
    def forwarded_for(self) -> str:
        """What `X-Forwarded-For` says, all of its lines in their order."""
        lines = [value for name, value in self._scope["headers"] if name == b"x-forwarded-for"]
        return b",".join(lines).decode("latin-1")

    async def body(self, config: GatewayConfig) -> bytes:
        """The whole body. Raises `BodyTooLarge`, `BodyTimedOut`, `UnsupportedMediaType`, `ClientLeft`."""
        self._check_media_type()
        declared = self.headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > config.max_body_bytes:
            raise BodyTooLarge(f"The request body is larger than {config.max_body_bytes} bytes.")
        try:
            async with asyncio.timeout(config.body_timeout_seconds):
                return await self._read(config.max_body_bytes)
        except TimeoutError:
            raise BodyTimedOut("The request body did not arrive in time.") from None

    def _check_media_type(self) -> None:
        kind = self.headers.get(b"content-type", b"application/json").partition(b";")[0].strip().lower()
        if kind != b"application/json":
            raise UnsupportedMediaType(
                "The request body should be JSON, with Content-Type: application/json."
            )
        if self.headers.get(b"content-encoding", b"identity") != b"identity":
            raise UnsupportedMediaType("Compressed request bodies are not supported.")

    async def _read(self, limit: int) -> bytes:
        body = b""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            part: bytes = message.get("body", b"")
            body += part
            if len(body) > limit:
                raise BodyTooLarge(f"The request body is larger than {limit} bytes.")
            if not message.get("more_body", False):
                return body

    async def wait_until_left(self) -> None:
        """Return once the client has closed the connection."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def answer(self, body: bytes, *, status: int = 200) -> None:
        """A complete JSON answer."""
        await self._start(status, [_JSON, (b"content-length", b"%d" % len(body))])
        await self._send({"type": "http.response.body", "body": body})

    async def answer_fault(self, fault: GatewayFault) -> None:
        """The fault, in the API's words; within a stream that has begun, its last event."""
        if self.status:
            await self.send_events(self.faults.event(fault), last=True)
            return
        self.extra_headers += fault.headers
        if fault.retry_after_seconds is not None:
            self.extra_headers += [
                (b"retry-after", b"%d" % max(1, math.ceil(fault.retry_after_seconds))),
                (b"retry-after-ms", b"%d" % max(1, math.ceil(fault.retry_after_seconds * 1000))),
            ]
        if fault.status == 401:
            self.extra_headers.append((b"www-authenticate", b"Bearer"))
        await self.answer(self.faults.body(fault), status=self.faults.status(fault))

    async def begin_events(self) -> None:
        """Commit to a stream of events."""
        await self._start(200, _EVENTS)

    async def send_events(self, events: bytes, *, last: bool = False) -> None:
        """Some events of the stream."""
        await self._send({"type": "http.response.body", "body": events, "more_body": not last})

    async def _start(self, status: int, headers: Headers) -> None:
        self.status = status
        own = [
            (b"x-request-id", b"req_%b" % self.request_id.hex.encode()),
            (b"openai-processing-ms", b"%d" % self.elapsed_ms),
            _VERSION,
        ]
        # What the snapshot holds was written by others: no value may begin a header of its own.
        further = [(name, value.translate(None, _CONTROL)) for name, value in self.extra_headers]
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": headers + own + further,
            }
        )


class Attended:
    """A block that is left with `ClientLeft` once the client is gone, and with `TimeoutError` at a deadline.

    `done()` ends the watch before the last byte is sent, after which a disconnect is the normal end. The
    watch begins after a moment, within which answers that cost nothing are there.
    """

    def __init__(self, exchange: Exchange, *, deadline_seconds: float) -> None:
        self._exchange, self._deadline_seconds = exchange, deadline_seconds
        self._cause: type[Exception] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._over = False

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(_UNWATCHED_SECONDS, self._begin_to_watch)
        return self

    def _begin_to_watch(self) -> None:
        rest = self._deadline_seconds - _UNWATCHED_SECONDS
        self._timer = self._loop.call_later(rest, self._interrupt, TimeoutError)
        self._watcher = self._loop.create_task(self._watch())

    async def _watch(self) -> None:
        await self._exchange.wait_until_left()
        self._interrupt(ClientLeft)

    def _interrupt(self, cause: type[Exception]) -> None:
        if not self._over and self._cause is None:
            self._cause = cause
            self._task.cancel()

    def done(self) -> None:
        """From here on nothing interrupts."""
        self._over = True

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._over = True
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
        if self._cause is not None and self._task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise self._cause
