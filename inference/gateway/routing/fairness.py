"""Who is next: start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996) over organizations, in tokens.

Whoever has had the least lately goes next, so a flood delays another's request by what is being served, not
by the flood.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Generic, Protocol, TypeVar

# So many organizations that wait for nothing may be remembered.
_IDLE = 64


class Class(IntEnum):
    """Who goes first: nothing of a class is let through while a request of a lower number waits."""

    INTERACTIVE = 0
    BATCH = 1


class Waiting(Protocol):
    """What a request in line wants, and whose it is."""

    organization_id: str
    tokens: int
    bytes: int


T = TypeVar("T", bound=Waiting)


@dataclass
class _Flow(Generic[T]):
    """One organization's requests. `start` is when its next begins, in virtual time (tokens)."""

    start: int
    tokens: int = 0
    bytes: int = 0
    waiters: OrderedDict[T, None] = field(default_factory=OrderedDict)


class FairLine(Generic[T]):
    """The requests of one class, with their sums."""

    def __init__(self) -> None:
        self._flows: dict[str, _Flow[T]] = {}
        self._now = 0
        self.requests = self.tokens = self.bytes = 0

    def add(self, waiter: T, *, first: bool = False) -> None:
        """At the end of its organization's, or `first` of them where its turn came to nothing."""
        flow = self._flows.setdefault(waiter.organization_id, _Flow(self._now))
        flow.waiters[waiter] = None
        if first:
            flow.waiters.move_to_end(waiter, last=False)
            flow.start -= waiter.tokens
        self._count(flow, waiter, 1)

    def first(self) -> T | None:
        """Whose turn is next, if anybody waits."""
        flow = self._next()
        return next(iter(flow.waiters)) if flow is not None else None

    def take(self, waiter: T) -> None:
        """It goes."""
        flow = self._flows[waiter.organization_id]
        self._now = max(self._now, flow.start)
        flow.start = max(flow.start, self._now) + waiter.tokens
        self._drop(flow, waiter)
        if len(self._flows) > 2 * self.requests + _IDLE:
            flows = self._flows.items()
            self._flows = {name: one for name, one in flows if one.waiters or one.start > self._now}

    def remove(self, waiter: T) -> None:
        """It leaves without a turn. Does nothing once it is gone."""
        flow = self._flows.get(waiter.organization_id)
        if flow is not None and waiter in flow.waiters:
            self._drop(flow, waiter)

    def tokens_before(self, organization_id: str) -> int:
        """Tokens that are let through before a newcomer: its own organization's, and as many of any other."""
        own = self._flows.get(organization_id)
        mine = own.tokens if own else 0
        start = max(self._now, own.start if own else 0) + mine
        others = (flow for flow in self._flows.values() if flow is not own)
        return mine + sum(min(flow.tokens, max(0, start - max(self._now, flow.start))) for flow in others)

    def held_by(self, organization_id: str) -> tuple[int, int]:
        """How many requests of it wait, and their bytes."""
        flow = self._flows.get(organization_id)
        return (len(flow.waiters), flow.bytes) if flow is not None else (0, 0)

    def longest(self, measure: Callable[[int, int], float]) -> T | None:
        """The last request of the organization that has most here, by requests and bytes."""
        flows = (flow for flow in self._flows.values() if flow.waiters)
        flow = max(flows, key=lambda one: measure(len(one.waiters), one.bytes), default=None)
        return next(reversed(flow.waiters)) if flow is not None else None

    def _next(self) -> _Flow[T] | None:
        """Of those that wait, the one that has had the least; who is idle has saved nothing up."""
        flows = (flow for flow in self._flows.values() if flow.waiters)
        return min(flows, key=lambda one: max(self._now, one.start), default=None)

    def _drop(self, flow: _Flow[T], waiter: T) -> None:
        del flow.waiters[waiter]
        self._count(flow, waiter, -1)
        if not self.requests:
            self._flows.clear()
            self._now = 0
        elif not flow.waiters and flow.start <= self._now:
            del self._flows[waiter.organization_id]

    def _count(self, flow: _Flow[T], waiter: T, sign: int) -> None:
        flow.tokens += sign * waiter.tokens
        flow.bytes += sign * waiter.bytes
        self.requests += sign
        self.tokens += sign * waiter.tokens
        self.bytes += sign * waiter.bytes
