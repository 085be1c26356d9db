"""Commands to Valkey over one connection that do not wait for each other.

What is asked in one turn of the loop goes in one write, and answers come in the order of their questions: a
command costs little more than its packing. Scripts are loaded with the connection, so a Valkey that was
started anew knows them.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, cast

import hiredis
from redis.asyncio.connection import ConnectionPool, SSLConnection, UnixDomainSocketConnection

Word = str | bytes | int | float
_QUIT_SECONDS = 1.0


class Unreachable(Exception):
    """Valkey did not answer, or not as it should."""


class Link:
    """A connection that is made when it is needed, and again when it broke.

    `scripts` are Lua sources by the names under which they are `run`. `timeout_seconds` bounds connecting and
    each answer.
    """

    def __init__(self, url: str, *, timeout_seconds: float, scripts: Mapping[str, str]) -> None:
        self._timeout_seconds = timeout_seconds
        # The library reads the address, so that it means here what it means everywhere.
        self._place: Any = cast(Any, ConnectionPool).from_url(url).make_connection()
        self._scripts = dict(scripts)
        self._digests = {name: _digest(source) for name, source in scripts.items()}
        self._wire: _Wire | None = None
        self._connecting: asyncio.Task[None] | None = None
        # Packed commands that wait for a connection, with their answers.
        self._waiting: list[tuple[bytes, asyncio.Future[Any]]] = []

    def ask(self, *words: Word) -> "asyncio.Future[Any]":
        """The answer to one command. The future raises `Unreachable`."""
        packed = _packed(words)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        wire = self._wire
        if wire is not None and wire.open:
            wire.ask(packed, answer)
        else:
            self._waiting.append((packed, answer))
            if self._connecting is None:
                self._connecting = asyncio.create_task(self._connect(), name="gateway-valkey")
        return answer

    def run(self, script: str, keys: Sequence[str], arguments: Sequence[Word]) -> "asyncio.Future[Any]":
        """A script's answer. The future raises `Unreachable`."""
        return self.ask("EVALSHA", self._digests[script], len(keys), *keys, *arguments)

    async def aclose(self) -> None:
        """Send what was asked, and close. Whoever still waits after a second is told `Unreachable`."""
        if self._connecting is not None:
            await asyncio.wait([self._connecting])
        if self._wire is not None:
            await self._wire.aclose(_QUIT_SECONDS)

    async def _connect(self) -> None:
        wire = _Wire(self._timeout_seconds)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._open(wire)
                await self._greet(wire)
        except Exception as fault:
            # Whatever it was (an address, a certificate): nobody is left waiting.
            wire.drop()
            why = str(fault) if isinstance(fault, Unreachable) else type(fault).__name__
            waiting, self._waiting = self._waiting, []
            for _, answer in waiting:
                _refuse(answer, why)
        else:
            self._wire = wire
            waiting, self._waiting = self._waiting, []
            for packed, answer in waiting:
                wire.ask(packed, answer)
        finally:
            self._connecting = None

    async def _open(self, wire: "_Wire") -> None:
        loop, place = asyncio.get_running_loop(), self._place
        if isinstance(place, UnixDomainSocketConnection):
            await loop.create_unix_connection(lambda: wire, place.path)
            return
        tls = place.ssl_context.get() if isinstance(place, SSLConnection) else None
        await loop.create_connection(lambda: wire, place.host, int(place.port), ssl=tls)

    async def _greet(self, wire: "_Wire") -> None:
        """Say who we are, choose the database, tell the scripts."""
        greetings: list[tuple[Word, ...]] = [("SCRIPT", "LOAD", one) for one in self._scripts.values()]
        if self._place.db:
            greetings.insert(0, ("SELECT", int(self._place.db)))
        if self._place.password:
            greetings.insert(0, ("AUTH", self._place.username or "default", self._place.password))
        await asyncio.gather(*(wire.greet(_packed(words)) for words in greetings))


class _Wire(asyncio.Protocol):
    """One socket."""

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader()
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        # Answers that are awaited, with the times of their questions.
        self._asked: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._watching = False
        self.open = False

    def greet(self, packed: bytes) -> "asyncio.Future[Any]":
        """A command before the connection is anybody's."""
        answer: asyncio.Future[Any] = self._loop.create_future()
        self.ask(packed, answer)
        return answer

    def ask(self, packed: bytes, answer: "asyncio.Future[Any]") -> None:
        """Send a command with the others of this turn of the loop."""
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(packed)
        self._asked.append((answer, self._loop.time()))
        if not self._watching:
            self._watching = True
            self._loop.call_later(self._timeout_seconds, self._watch)

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if self._transport is not None and unsent:
            self._transport.write(unsent[0] if len(unsent) == 1 else b"".join(unsent))

    def _watch(self) -> None:
        """Look whether the answer that is awaited longest is late."""
        self._watching = False
        if not self._asked:
            return
        rest = self._asked[0][1] + self._timeout_seconds - self._loop.time()
        if rest <= 0:
            self._end("TimeoutError")
        else:
            self._watching = True
            self._loop.call_later(rest, self._watch)

    def drop(self) -> None:
        """Close at once."""
        self._end("closed")

    async def aclose(self, seconds: float) -> None:
        """Close once all answers are there, or after so long."""
        if self._asked:
            await asyncio.wait([answer for answer, _ in self._asked], timeout=seconds)
        self.drop()
        await asyncio.sleep(0)

    def _end(self, why: str) -> None:
        self.open = False
        if self._transport is not None:
            self._transport.abort()
        asked, self._asked = self._asked, deque()
        for answer, _ in asked:
            _refuse(answer, why)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not registered as asyncio's, though they are the same in all but name.
        self._transport = cast(asyncio.Transport, transport)
        self.open = True

    def data_received(self, data: bytes) -> None:
        reader, asked = self._reader, self._asked
        try:
            reader.feed(data)
            while (told := reader.gets()) is not False:
                answer, _ = asked.popleft()
                if isinstance(told, hiredis.ReplyError):
                    self._refused(answer, told)
                elif not answer.done():
                    answer.set_result(told)
        except (hiredis.ProtocolError, IndexError):
            self._end("ProtocolError")

    def _refused(self, answer: "asyncio.Future[Any]", told: Exception) -> None:
        word = str(told).partition(" ")[0]
        _refuse(answer, word)
        if word in _LASTING:
            # Another connection would fare better: it would be with another server, or know the scripts.
            self._end(word)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end("ConnectionError")


# A server that has become a replica, and one that has forgotten the scripts.
_LASTING = frozenset({"READONLY", "NOSCRIPT"})


def _packed(words: Any) -> bytes:
    """A command as it is sent. The library's types know only commands of one word."""
    packed: bytes = hiredis.pack_command(words)
    return packed


def _refuse(answer: "asyncio.Future[Any]", why: str) -> None:
    if not answer.done():
        answer.set_exception(Unreachable(why))
        answer.exception()  # seen here, since whoever asked may have left


def _digest(source: str) -> str:
    """The name that Valkey gives to a script."""
    return hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
