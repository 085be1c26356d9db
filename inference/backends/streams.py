"""A generation that arrives as server-sent events, whatever the events say."""

import contextlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence

from inference.backends.events import EventDecoder
from inference.backends.faults import BackendFault, Broken, ConnectionLost
from inference.backends.http11 import Connection
from inference.backends.interface import End, Piece, Timeouts


class EventStream(ABC):
    """The half of a `BackendStream` that all protocols share; a protocol reads its own events."""

    def __init__(self, connection: Connection, timeouts: Timeouts) -> None:
        self._connection, self._timeouts = connection, timeouts
        self._decoder = EventDecoder()
        self._ready: deque[Piece | End] = deque()
        self._fault: BackendFault | None = None
        self._patience = timeouts.first_token
        self._ended = self._hung_up = False
        self.prompt_tokens: int | None = None

    @abstractmethod
    def _events(self, payload: bytes) -> Sequence[Piece | End]:
        """What one payload says; sets `_ended` with the `End`. May raise a fault, or what parsing raises."""

    def _at_close(self) -> Sequence[Piece | End]:
        """What it means that the server ended the stream. Raises a fault, unless all had been said."""
        raise Broken("The model server ended its stream before the last event.")

    async def next(self) -> Piece | End:
        """The next event; see `BackendStream`."""
        while not self._ready:
            if self._fault is not None:
                raise self._fault
            await self._receive()
        return self._ready.popleft()

    async def _receive(self) -> None:
        try:
            received = await self._connection.read(self._patience)
            if received:
                self._take(received)
            else:
                self._ready.extend(self._at_close())
        except ConnectionLost as lost:
            self._lose(lost)
        except BackendFault as fault:
            self._fault = fault

    def _lose(self, lost: ConnectionLost) -> None:
        """The server is gone; that matters only where it had more to say."""
        try:
            self._ready.extend(self._at_close())
        except BackendFault:
            self._fault = lost

    def _take(self, received: bytes) -> None:
        try:
            for payload in self._decoder.feed(received):
                if not self._ended:
                    self._ready.extend(self._events(payload))
        except BackendFault as fault:
            # What came before the fault is delivered first.
            self._fault = fault
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            self._fault = Broken(f"The model server sent an unreadable event ({type(error).__name__}).")
        if self._ready:
            self._patience = self._timeouts.inter_token

    def close(self) -> int:
        """End it; see `BackendStream`."""
        if self._ended:
            self._connection.release()
        else:
            self._take(self._connection.received())
            self._connection.hang_up()
            self._hung_up = True
        return self._unread()

    async def rest(self) -> int:
        """What came after `close`; see `BackendStream`."""
        if not self._hung_up:
            return 0
        with contextlib.suppress(BackendFault):
            while not self._ended and self._fault is None:
                received = await self._connection.read(self._timeouts.inter_token)
                if not received:
                    break
                self._take(received)
        self._connection.abort()
        return self._unread()

    def _unread(self) -> int:
        unread = sum(event.tokens for event in self._ready if isinstance(event, Piece))
        self._ready.clear()
        return unread
