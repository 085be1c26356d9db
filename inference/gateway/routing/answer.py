"""A generation on a replica, and what its end tells of the replica."""

from inference.backends.faults import BackendFault, CannotCount, Overloaded, Refused, UnknownAdapter
from inference.backends.interface import BackendStream, End, Piece
from inference.gateway.routing.breaker import Outcome
from inference.gateway.routing.replicas import Lease

# The server is in order; it is the request, or a want of an adapter.
_IN_ORDER = (Refused, UnknownAdapter, CannotCount)


class Answer:
    """A generation that has produced its first event. It is a `BackendStream`."""

    __slots__ = ("_first", "_lease", "_stream")

    def __init__(self, stream: BackendStream, first: Piece | End, lease: Lease) -> None:
        self._stream, self._lease = stream, lease
        self._first: Piece | End | None = first

    @property
    def prompt_tokens(self) -> int | None:
        """See `BackendStream`."""
        return self._stream.prompt_tokens

    @property
    def replica(self) -> str:
        """The key of the replica that generates it."""
        return self._lease.replica.key

    async def next(self) -> Piece | End:
        """See `BackendStream`."""
        if self._first is not None:
            event, self._first = self._first, None
        else:
            try:
                event = await self._stream.next()
            except BackendFault as fault:
                end_with(self._lease, fault)
                raise
        if type(event) is End:
            self._lease.end(Outcome.WELL)
        return event

    def close(self) -> int:
        """See `BackendStream`."""
        first, self._first = self._first, None
        # Its first token came: whoever ends it now, it is not the server's fault.
        self._lease.end(Outcome.WELL)
        return self._stream.close() + (first.tokens if isinstance(first, Piece) else 0)

    async def rest(self) -> int:
        """See `BackendStream`."""
        return await self._stream.rest()


def end_with(lease: Lease, fault: BackendFault) -> None:
    """End a request that failed, with what that tells of the server."""
    if isinstance(fault, Overloaded):
        lease.refuse(fault.retry_after_seconds)
    else:
        lease.end(Outcome.WELL if isinstance(fault, _IN_ORDER) else Outcome.ILL)
