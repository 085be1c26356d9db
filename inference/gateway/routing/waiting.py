"""Requests that wait for room on a pool of servers: fairly between organizations, never without end."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from inference.backends.faults import BackendFault, Overloaded
from inference.gateway.routing.breaker import Clock, Outcome
from inference.gateway.routing.fairness import Class, FairLine
from inference.gateway.routing.replicas import Lease
from inference.gateway.routing.router import NoRoom

_REMEMBERED = 64
_FEWEST = 4
_FULL = "Too many requests wait for this model. Please retry later."
_LATE = "The model has more requests than it can answer in time. Please retry later."


class NoTurn(Overloaded):
    """The request would not, or did not, get its turn in time; what may be told to its caller."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The most that waits for one pool: requests, and bytes of their prompts."""

    requests: int = 4096
    bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a request waits for: its prompt's and answer's `tokens`. `ask` takes them, or raises `NoRoom`."""

    organization_id: str
    priority: Class
    tokens: int
    bytes: int
    ask: Callable[[], Lease]


class Waiter:
    """A request that waits. `turn` has the lease once it may go."""

    __slots__ = ("bytes", "claim", "organization_id", "tokens", "turn")

    def __init__(self, claim: Claim, turn: asyncio.Future[Lease]) -> None:
        self.claim, self.turn = claim, turn
        self.organization_id, self.tokens, self.bytes = claim.organization_id, claim.tokens, claim.bytes


class Pace:
    """Tokens a second let through lately, while somebody waited."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._passed: deque[tuple[float, int]] = deque(maxlen=_REMEMBERED)

    def note(self, tokens: int) -> None:
        """So many go now."""
        self._passed.append((self._clock(), tokens))

    @property
    def tokens_a_second(self) -> float | None:
        """None until enough was seen. A pool that stalls slows down by the clock, not by its next request."""
        if len(self._passed) < _FEWEST:
            return None
        seconds = self._clock() - self._passed[0][0]
        tokens = sum(tokens for _, tokens in self._passed) - self._passed[0][1]
        return tokens / seconds if seconds > 0 and tokens > 0 else None


class WaitingRoom:
    """What waits for one pool."""

    def __init__(self, *, clock: Clock, bounds: Bounds) -> None:
        self._bounds, self._pace = bounds, Pace(clock)
        self._lines = tuple(FairLine[Waiter]() for _ in Class)

    @property
    def requests(self) -> int:
        """How many wait."""
        return sum(line.requests for line in self._lines)

    @property
    def bytes(self) -> int:
        """Of the prompts that wait."""
        return sum(line.bytes for line in self._lines)

    async def wait(self, claim: Claim, *, seconds: float, again: bool = False) -> Lease:
        """The lease, when it is this request's turn; who had its turn and waits `again` goes first.

        Raises `NoTurn` where that is not, or would not be, within so many seconds, and what `ask` raises
        besides `NoRoom`.
        """
        waiter = self._join(claim, seconds, again=again)
        self.let_through()
        try:
            async with asyncio.timeout(seconds):
                return await waiter.turn
        except BaseException as ended:
            self._leave(waiter)
            if isinstance(ended, TimeoutError):
                raise NoTurn(_LATE, self.expected_seconds(claim)) from None
            raise

    def let_through(self) -> None:
        """Give those their turn for whom there is room."""
        for line in self._lines:
            while (waiter := line.first()) is not None:
                if waiter.turn.done():
                    # Its caller left at this moment.
                    line.remove(waiter)
                    continue
                try:
                    lease = waiter.claim.ask()
                except NoRoom:
                    return
                except BackendFault as fault:
                    line.remove(waiter)
                    waiter.turn.set_exception(fault)
                else:
                    line.take(waiter)
                    self._pace.note(waiter.tokens)
                    waiter.turn.set_result(lease)

    def expected_seconds(self, claim: Claim) -> float | None:
        """How long a newcomer is likely to wait; None where no pace was seen yet."""
        pace = self._pace.tokens_a_second
        if pace is None:
            return None
        before = sum(self._lines[one].tokens for one in Class if one < claim.priority)
        return (before + self._lines[claim.priority].tokens_before(claim.organization_id)) / pace

    def _join(self, claim: Claim, seconds: float, *, again: bool) -> Waiter:
        expected = self.expected_seconds(claim)
        if not again and expected is not None and expected > seconds:
            raise NoTurn(_LATE, expected - seconds)
        while not self._fits(claim):
            longest = self._longest(claim)
            if longest is None:
                raise NoTurn(_FULL, expected)
            self._push_out(longest)
        waiter = Waiter(claim, asyncio.get_running_loop().create_future())
        self._lines[claim.priority].add(waiter, first=again)
        return waiter

    def _fits(self, claim: Claim) -> bool:
        return self.requests < self._bounds.requests and self.bytes + claim.bytes <= self._bounds.bytes

    def _longest(self, claim: Claim) -> Waiter | None:
        """The last request of whoever takes most of the room, if that is more than the newcomer would."""
        for priority in reversed(Class):
            line = self._lines[priority]
            if priority < claim.priority:
                return None
            longest = line.longest(self._share)
            if longest is None:
                continue
            requests, size = line.held_by(claim.organization_id)
            theirs = self._share(*line.held_by(longest.organization_id))
            more = theirs > self._share(requests + 1, size + claim.bytes)
            return longest if more or priority > claim.priority else None
        return None

    def _share(self, requests: int, size: int) -> float:
        return max(requests / self._bounds.requests, size / self._bounds.bytes)

    def _push_out(self, waiter: Waiter) -> None:
        self._lines[waiter.claim.priority].remove(waiter)
        waiter.turn.set_exception(NoTurn(_FULL, self.expected_seconds(waiter.claim)))

    def _leave(self, waiter: Waiter) -> None:
        """Give up a place, or the lease that came at the same moment."""
        self._lines[waiter.claim.priority].remove(waiter)
        turn = waiter.turn
        if turn.done() and not turn.cancelled() and turn.exception() is None:
            turn.result().end(Outcome.UNKNOWN)
