"""A thin HTTP/1.1 client: pooled sockets, streamed bodies with flow control, deadlines per read.

The gateway needs little of a client: POST JSON, read a status, some headers and a body as it arrives, and
drop a connection at once, which is how a generation is stopped.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

import httptools

from inference.backends.faults import BackendFault, Broken, ConnectionLost, TimedOut, Unreachable

_HIGH_WATER_BYTES = 256 * 1024
_DRAIN_SECONDS = 1.0
_MOST_IDLE = 128
HANG_UP_SECONDS = 0.8
_MAX_ANSWER_BYTES = 64 * 1024 * 1024


class Connection(asyncio.Protocol):
    """One socket, one exchange at a time."""

    def __init__(self, on_idle: "Told", on_lost: "Told", *, hang_up_seconds: float) -> None:
        self._on_idle, self._on_lost, self._hang_up_seconds = on_idle, on_lost, hang_up_seconds
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._drain: asyncio.TimerHandle | None = None
        self._fault: Broken | None = None
        self._paused = False
        self.reused = False
        self._reset()

    def _reset(self) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._size = 0
        self._has_head = self._complete = self._released = self._keeps_alive = self._hung_up = False

    @property
    def usable(self) -> bool:
        """Whether another request may be sent on it."""
        return self._fault is None and self._transport is not None and not self._transport.is_closing()

    @property
    def untouched(self) -> bool:
        """Whether the server has not begun to answer."""
        return not self._has_head

    def send(self, payload: bytes) -> None:
        """Begin an exchange."""
        self._reset()
        if self._transport is not None:
            self._transport.write(payload)

    async def head(self, timeout_seconds: float) -> None:
        """Wait for status and headers. Raises `ConnectionLost`, `TimedOut`, `Broken`."""
        while not self._has_head:
            if self._fault is not None:
                raise self._fault
            await self._wait(timeout_seconds)

    async def read(self, timeout_seconds: float) -> bytes:
        """What has arrived of the body, waiting for some; empty at its end. Raises as `head` does."""
        while not self._body:
            if self._complete:
                return b""
            if self._fault is not None:
                raise self._fault
            await self._wait(timeout_seconds)
        return self._take()

    async def whole(self, timeout_seconds: float) -> bytes:
        """The body to its end, then the connection is given back. Raises as `head` does."""
        parts: list[bytes] = []
        size = 0
        try:
            while part := await self.read(timeout_seconds):
                parts.append(part)
                size += len(part)
                if size > _MAX_ANSWER_BYTES:
                    raise Broken("The model server's answer is too large.")
        except BaseException:
            self.abort()
            raise
        self.release()
        return b"".join(parts)

    def received(self) -> bytes:
        """What has arrived of the body and was not read, without waiting."""
        return self._take() if self._body else b""

    def _take(self) -> bytes:
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        self._size = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return body

    async def _wait(self, timeout_seconds: float) -> None:
        waiter = self._waiter = self._loop.create_future()
        timer = self._loop.call_later(timeout_seconds, self._expire)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _expire(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(TimedOut("The model server fell silent."))

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def release(self) -> None:
        """Give the connection back once the rest of the answer, if little, has passed."""
        self._released = True
        if self._complete:
            self._settle()
        else:
            self._drain = self._loop.call_later(_DRAIN_SECONDS, self.abort)

    def _settle(self) -> None:
        if self._drain is not None:
            self._drain.cancel()
            self._drain = None
        if self.usable and self._keeps_alive:
            self.reused = True
            self._on_idle(self)
        else:
            self.abort()

    def hang_up(self) -> None:
        """End the client's half: the server sees it and stops generating.

        What it had sent until then can still be read, for `hang_up_seconds` at most.
        """
        if self._transport is None or self._hung_up or not self.usable:
            return
        if self._complete or not self._transport.can_write_eof():
            self.abort()
            return
        self._hung_up = True
        # The server may be gone already; what it had sent is to be read all the same.
        with contextlib.suppress(OSError):
            self._transport.write_eof()
        self._drain = self._loop.call_later(self._hang_up_seconds, self.abort)

    def abort(self) -> None:
        """Drop the connection at once: the server sees it and stops generating."""
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not registered as asyncio's, though they are the same in all but name.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fault = Broken("The model server does not speak HTTP.")
            self.abort()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._fault is None:
            self._fault = ConnectionLost("The model server closed the connection before its answer ended.")
        if self._drain is not None:
            self._drain.cancel()
        self._wake()
        self._on_lost(self)

    # httptools callbacks

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._has_head = True

    def on_body(self, body: bytes) -> None:
        if self._released:
            return
        self._body.append(body)
        self._size += len(body)
        if self._size > _HIGH_WATER_BYTES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        self._complete = True
        self._keeps_alive = self._parser.should_keep_alive()  # llhttp knows only now
        if self._released:
            self._settle()
        elif self._hung_up:
            self.abort()


Told = Callable[[Connection], None]
Sent = Callable[[Connection], None]


def nobody_cares(connection: Connection) -> None:
    """Nothing is made of a request that was sent."""


class Pool:
    """Connections to one server."""

    def __init__(
        self, url: str, *, bearer: str, connect_seconds: float, hang_up_seconds: float = HANG_UP_SECONDS
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise Unreachable(f"Not a model server's address: {url!r}.")
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._host, self._port = parts.hostname, parts.port or (443 if self._tls else 80)
        self._prefix = parts.path.rstrip("/")
        self._fixed = (
            f" HTTP/1.1\r\nHost: {parts.netloc.rpartition('@')[2]}\r\nAuthorization: Bearer {bearer}\r\n"
            "Accept: text/event-stream, application/json\r\nContent-Type: application/json\r\n"
            "Content-Length: "
        ).encode("latin-1")
        self._connect_seconds, self._hang_up_seconds = connect_seconds, hang_up_seconds
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._closed = False

    async def post(
        self, path: str, body: bytes, *, timeout_seconds: float, sent: Sent = nobody_cares
    ) -> Connection:
        """Send and wait for the head of the answer. Raises `Unreachable`, `TimedOut`, `Broken`.

        `sent` gets the connection on which the server has the request from then on; each, where it is sent
        twice.
        """
        return await self._ask(b"POST", path, body, timeout_seconds, sent)

    async def get(self, path: str, *, timeout_seconds: float) -> Connection:
        """The same without a body."""
        return await self._ask(b"GET", path, b"", timeout_seconds, nobody_cares)

    async def _ask(
        self, method: bytes, path: str, body: bytes, timeout_seconds: float, sent: Sent
    ) -> Connection:
        target = self._prefix.encode("ascii") + path.encode("ascii")
        request = b"%b %b%b%d\r\n\r\n%b" % (method, target, self._fixed, len(body), body)
        connection = self._pick() or await self._connect()
        try:
            return await self._exchange(connection, request, timeout_seconds, sent)
        except ConnectionLost:
            # A pooled socket may have been closed by the server while idle: nothing was begun, ask again.
            if not (connection.reused and connection.untouched):
                raise
        return await self._exchange(await self._connect(), request, timeout_seconds, sent)

    async def _exchange(
        self, connection: Connection, request: bytes, timeout_seconds: float, sent: Sent
    ) -> Connection:
        connection.send(request)
        sent(connection)
        try:
            await connection.head(timeout_seconds)
        except BackendFault:
            connection.abort()
            raise
        except BaseException:
            # Whoever was told of it may read what the server still sends.
            connection.hang_up()
            raise
        return connection

    def _pick(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return None

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_seconds):
                _, connection = await loop.create_connection(
                    lambda: Connection(
                        self._put_back, self._open.discard, hang_up_seconds=self._hang_up_seconds
                    ),
                    self._host,
                    self._port,
                    ssl=self._tls,
                )
        except (OSError, TimeoutError) as error:
            raise Unreachable(f"No connection to the model server: {type(error).__name__}.") from error
        if connection.usable:
            self._open.add(connection)
        return connection

    def _put_back(self, connection: Connection) -> None:
        if self._closed or len(self._idle) >= _MOST_IDLE:
            connection.abort()
        else:
            self._idle.append(connection)

    async def aclose(self, *, at_once: bool = False) -> None:
        """Close idle connections now, and busy ones as they finish or `at_once`."""
        self._closed = True
        for connection in list(self._open if at_once else self._idle):
            connection.abort()
        self._idle.clear()
        await asyncio.sleep(0)
