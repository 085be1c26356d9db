"""One generation, or one look into the cache, that several callers follow at the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from inference.backends.interface import BackendStream, End, Piece
from inference.gateway.cache.recording import Recording

Opener = Callable[[], Awaitable[BackendStream | Recording]]


class Abandoned(Exception):
    """Everybody left before the end."""


class Flight:
    """Runs in a task of its own as long as anybody follows; `land` is called with what became of it.

    Whoever joins gets every event from the first on, at their own pace. What `opener` or the generation
    raises is raised to each follower.
    """

    def __init__(self, opener: Opener, land: Callable[["Flight"], None]) -> None:
        self._opener, self._land = opener, land
        self._followers, self._landed = 0, False
        self._moved = asyncio.Event()
        self._stream: BackendStream | None = None
        self._abandoned: BackendStream | None = None
        self.is_open = False
        self.recording: Recording | None = None
        self.pieces: list[Piece] = []
        self.end: End | None = None
        self.fault: Exception | None = None
        self.task = asyncio.create_task(self._fly(), name="gateway-cache-flight")

    async def join(self) -> "Follower":
        """Follow it; returns once it is open. Raises what opening it raised."""
        self._followers += 1
        try:
            while not self.is_open and self.fault is None:
                await self._moved.wait()
            if not self.is_open:
                self.check()
        except BaseException:
            self.leave()
            raise
        return Follower(self)

    @property
    def prompt_tokens(self) -> int | None:
        """The prompt's length, as soon as it is known."""
        if self.end is not None:
            return self.end.prompt_tokens
        return self._stream.prompt_tokens if self._stream is not None else None

    @property
    def is_followed(self) -> bool:
        """Whether anybody still follows."""
        return self._followers > 0

    async def move(self) -> None:
        """Wait until there is something new."""
        await self._moved.wait()

    def check(self) -> None:
        """Raise what the generation raised."""
        if self.fault is not None:
            raise self.fault.with_traceback(None)

    def leave(self) -> int:
        """One follower goes; the last one ends the generation. Returns how many tokens nobody had taken."""
        self._followers -= 1
        if self._followers or self.end is not None or self.fault is not None:
            return 0
        self.fault = Abandoned()
        self._abandoned = self._stream
        self.task.cancel()
        return self._finish()

    async def rest(self) -> int:
        """Once everybody has left: what the server made besides before it stopped."""
        return await self._abandoned.rest() if self._abandoned is not None else 0

    async def _fly(self) -> None:
        try:
            found = await self._opener()
            if isinstance(found, Recording):
                self._replay(found)
            else:
                await self._follow(found)
        except Exception as fault:
            # Each follower raises it where it waits.
            self.fault = fault
        finally:
            self._finish()

    def _replay(self, recording: Recording) -> None:
        self.recording = recording
        self.pieces, self.end = list(recording.pieces), recording.end
        self.is_open = True

    async def _follow(self, stream: BackendStream) -> None:
        self._stream = stream
        self.is_open = True
        self._stir()
        while True:
            event = await stream.next()
            if isinstance(event, End):
                self.end = event
                return
            self.pieces.append(event)
            self._stir()

    def _stir(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def _finish(self) -> int:
        """Let go of the server and say what became of it, once; returns what the server had sent besides."""
        stream, self._stream = self._stream, None
        untaken = stream.close() if stream is not None else 0
        if not self._landed:
            self._landed = True
            self._land(self)
        self._stir()
        return untaken


class Follower:
    """A flight as one caller sees it: a `BackendStream`."""

    def __init__(self, flight: Flight) -> None:
        self._flight, self._place = flight, 0
        self._left = self._was_last = False

    @property
    def prompt_tokens(self) -> int | None:
        """See `BackendStream`."""
        return self._flight.prompt_tokens

    async def next(self) -> Piece | End:
        """The next event; see `BackendStream`."""
        flight = self._flight
        while True:
            if self._place < len(flight.pieces):
                self._place += 1
                return flight.pieces[self._place - 1]
            if flight.end is not None:
                return flight.end
            flight.check()
            await flight.move()

    def close(self) -> int:
        """Leave; see `BackendStream`."""
        if self._left:
            return 0
        self._left = True
        untaken = _tokens_in(self._flight.pieces[self._place :]) + self._flight.leave()
        self._was_last = not self._flight.is_followed
        return untaken

    async def rest(self) -> int:
        """See `BackendStream`: who leaves others behind leaves the rest to them."""
        return await self._flight.rest() if self._was_last else 0


class Replay:
    """A kept answer as a `BackendStream`: everything of it has arrived."""

    def __init__(self, recording: Recording) -> None:
        self._recording, self._place = recording, 0
        self.prompt_tokens: int | None = recording.end.prompt_tokens

    async def next(self) -> Piece | End:
        """The next event."""
        pieces, place = self._recording.pieces, self._place
        if place == len(pieces):
            return self._recording.end
        self._place = place + 1
        return pieces[place]

    def close(self) -> int:
        """How much of it was not taken."""
        untaken = _tokens_in(self._recording.pieces[self._place :])
        self._place = len(self._recording.pieces)
        return untaken

    async def rest(self) -> int:
        """None: it is whole."""
        return 0


def _tokens_in(pieces: Sequence[Piece]) -> int:
    return sum(piece.tokens for piece in pieces)
