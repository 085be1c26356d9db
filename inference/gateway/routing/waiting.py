"""Requests that wait for room on a pool of servers: fairly between organizations, never without end.

Start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996) over organizations, in tokens: whoever has had
the least lately goes next, so a flood delays another's request by what is being served, not by the flood.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

from inference.gateway.routing.breaker import Clock

_REMEMBERED = 64
_FEWEST = 4


class Class(IntEnum):
    """Who goes first: nothing of a class is let through while a request of a lower number waits."""

    INTERACTIVE = 0
    BATCH = 1


class QueueFull(Exception):
    """More requests or bytes wait than may. `retry_after_seconds` is None where no pace was seen yet."""

    def __init__(self, retry_after_seconds: float | None) -> None:
        super().__init__("Too many requests wait for this model.")
        self.retry_after_seconds = retry_after_seconds


class TooLate(Exception):
    """The request would wait past its deadline; in `retry_after_seconds` it likely would not."""

    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__("The request would wait longer than it may.")
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The most that waits for one pool: requests, and bytes of their prompts."""

    requests: int = 10_000
    bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a request waits for: its prompt's and answer's `tokens`, for at most `wait_seconds`."""

    organization_id: str
    tokens: int
    bytes: int
    wait_seconds: float
    priority: Class = Class.INTERACTIVE


class Waiter:
    """A request that waits. `turn` is done when it may go."""

    __slots__ = ("claim", "turn")

    def __init__(self, claim: Claim, turn: asyncio.Future[None]) -> None:
        self.claim, self.turn = claim, turn


@dataclass
class _Flow:
    """One organization's requests of one class. `start` is when its next begins, in virtual time (tokens)."""

    start: int
    tokens: int = 0
    waiters: OrderedDict[Waiter, None] = field(default_factory=OrderedDict)


class _Line:
    """The requests of one class."""

    def __init__(self) -> None:
        self._flows: dict[str, _Flow] = {}
        self._now = 0

    def add(self, waiter: Waiter) -> None:
        claim = waiter.claim
        flow = self._flows.setdefault(claim.organization_id, _Flow(self._now))
        if not flow.waiters:
            flow.start = max(flow.start, self._now)
        flow.waiters[waiter] = None
        flow.tokens += claim.tokens

    def remove(self, waiter: Waiter) -> bool:
        """Whether it was here."""
        flow = self._flows.get(waiter.claim.organization_id)
        if flow is None or waiter not in flow.waiters:
            return False
        del flow.waiters[waiter]
        flow.tokens -= waiter.claim.tokens
        self._forget()
        return True

    def take(self) -> Waiter | None:
        """The next, if one waits."""
        flow = min(self._busy(), key=lambda one: one.start, default=None)
        if flow is None:
            return None
        waiter, _ = flow.waiters.popitem(last=False)
        flow.tokens -= waiter.claim.tokens
        self._now = flow.start
        flow.start += waiter.claim.tokens
        self._forget()
        return waiter

    @property
    def tokens(self) -> int:
        return sum(flow.tokens for flow in self._busy())

    def tokens_before(self, claim: Claim) -> int:
        """Tokens that are let through before a newcomer: its own organization's, and as many of any other."""
        own = self._flows.get(claim.organization_id)
        mine = own.tokens if own else 0
        start = max(self._now, own.start if own else 0) + mine
        others = (flow for flow in self._busy() if flow is not own)
        return mine + sum(min(flow.tokens, max(0, start - flow.start)) for flow in others)

    def _busy(self) -> Iterable[_Flow]:
        return (flow for flow in self._flows.values() if flow.waiters)

    def _forget(self) -> None:
        """Who waits for nothing is remembered while ahead of the others; with nobody waiting, nobody is."""
        if any(self._busy()):
            self._flows = {
                name: flow for name, flow in self._flows.items() if flow.waiters or flow.start > self._now
            }
        else:
            self._flows.clear()
            self._now = 0


class _Pace:
    """Tokens a second let through lately, while somebody waited."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._passed: deque[tuple[float, int]] = deque(maxlen=_REMEMBERED)

    def note(self, tokens: int) -> None:
        self._passed.append((self._clock(), tokens))

    def restart(self) -> None:
        self._passed.clear()

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

    def __init__(self, *, clock: Clock, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._lines = tuple(_Line() for _ in Class)
        self._pace = _Pace(clock)
        self.requests = 0
        self.bytes = 0

    async def wait(self, claim: Claim) -> None:
        """Return when it is this request's turn. Raises `QueueFull` and `TooLate`."""
        waiter = self.join(claim)
        try:
            async with asyncio.timeout(claim.wait_seconds):
                await waiter.turn
        except BaseException as ended:
            self.leave(waiter)
            if waiter.turn.done() and not waiter.turn.cancelled():
                # Its turn came as it left: it is the next one's.
                self.let_through()
            if isinstance(ended, TimeoutError):
                raise TooLate(self.expected_seconds(claim) or 1.0) from None
            raise

    def join(self, claim: Claim) -> Waiter:
        """Take a place. Raises `QueueFull`, or `TooLate` if by the pace seen it would wait too long."""
        if not self.requests:
            self._pace.restart()
        wait = self.expected_seconds(claim)
        if self.requests >= self._bounds.requests or self.bytes + claim.bytes > self._bounds.bytes:
            raise QueueFull(wait)
        if wait is not None and wait > claim.wait_seconds:
            raise TooLate(wait - claim.wait_seconds)
        waiter = Waiter(claim, asyncio.get_running_loop().create_future())
        self._lines[claim.priority].add(waiter)
        self.requests += 1
        self.bytes += claim.bytes
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """Give up a place: its caller left, or its time is over. Does nothing once it had its turn."""
        if self._lines[waiter.claim.priority].remove(waiter):
            self._gone(waiter.claim)

    def let_through(self) -> Waiter | None:
        """Give the next its turn, if one waits."""
        for line in self._lines:
            while (waiter := line.take()) is not None:
                self._gone(waiter.claim)
                if not waiter.turn.done():
                    self._pace.note(waiter.claim.tokens)
                    waiter.turn.set_result(None)
                    return waiter
        return None

    def expected_seconds(self, claim: Claim) -> float | None:
        """How long a newcomer is likely to wait; None where no pace was seen yet."""
        pace = self._pace.tokens_a_second
        if pace is None:
            return None
        before = sum(self._lines[one].tokens for one in Class if one < claim.priority)
        return (before + self._lines[claim.priority].tokens_before(claim)) / pace

    def _gone(self, claim: Claim) -> None:
        self.requests -= 1
        self.bytes -= claim.bytes
