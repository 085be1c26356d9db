"""What this process admitted, remembered here: its share of the limits while Valkey is away."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from inference.gateway.admission.bounds import BY_WINDOW, CONCURRENT_STREAMS, Bound

WINDOW_SECONDS = 60.0
_MAX_COUNTERS = 100_000


class Wish(Protocol):
    """What a request wants of one counter."""

    @property
    def bound(self) -> Bound: ...
    @property
    def key(self) -> str: ...
    @property
    def amount(self) -> int: ...


@dataclass
class _Counter:
    """A minute of admissions for a rate, otherwise what runs now; and what Valkey said last to be used.

    `since` is what this process added since then.
    """

    recent: deque[tuple[float, int]] = field(default_factory=deque)
    total: int = 0
    last_told: int = 0
    since: int = 0

    def prune(self, now: float) -> None:
        while self.recent and self.recent[0][0] <= now - WINDOW_SECONDS:
            self.total -= self.recent.popleft()[1]


class Memory:
    """Counters of one process."""

    def __init__(self) -> None:
        self._counters: dict[str, _Counter] = {}

    def first_refusal(self, wishes: Sequence[Wish], processes: int) -> tuple[int, int] | None:
        """The first wish beyond this process's share, by its place and what is used; None when all fit."""
        now = time.monotonic()
        for place, wish in enumerate(wishes):
            counter = self._counter(wish.key)
            counter.prune(now)
            mine, share = self._standing(wish.bound, counter, processes)
            if mine + wish.amount > share:
                return place, mine
        return None

    def note(self, wishes: Sequence[Wish], told: Sequence[int] | None = None) -> None:
        """Remember an admission; `told` is what Valkey answered to be used since."""
        now = time.monotonic()
        for place, wish in enumerate(wishes):
            counter = self._counter(wish.key)
            if told is not None:
                counter.last_told, counter.since = told[place], 0
            else:
                counter.since += wish.amount
            counter.total += wish.amount
            if wish.bound.kind in BY_WINDOW:
                counter.prune(now)
                counter.recent.append((now, wish.amount))

    def settle(self, key: str, kind: str, reserved: int, real: int) -> None:
        """Put what was really used in the place of what was reserved; rates forget by themselves."""
        if kind not in BY_WINDOW:
            counter = self._counter(key)
            counter.total += real - reserved
            counter.since += real - reserved

    def _counter(self, key: str) -> _Counter:
        counter = self._counters.get(key)
        if counter is None:
            if len(self._counters) >= _MAX_COUNTERS:
                del self._counters[next(iter(self._counters))]
            counter = self._counters[key] = _Counter()
        return counter

    @staticmethod
    def _standing(bound: Bound, counter: _Counter, processes: int) -> tuple[int, int]:
        """What this process took of the limit, and how much it may."""
        if bound.kind in BY_WINDOW or bound.kind == CONCURRENT_STREAMS:
            return counter.total, bound.value // processes
        # Of a day or month, each takes a part of what was left when Valkey was last heard of.
        left = max(0, bound.value - max(counter.last_told, bound.used))
        return counter.since, left // processes
