"""A circuit breaker: a server that fails gets a rest instead of more requests."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

Clock = Callable[[], float]


class Outcome(Enum):
    """What one request tells of its server's health. A refusal of the caller's own making is `WELL`."""

    WELL = "well"
    ILL = "ill"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Rules:
    """When to open: after so many failures in a row, or a share of the latest results. Times in seconds.

    The first rest lasts `first_rest`, each further one without a success between twice as long, at most
    `longest_rest`; all are shortened by up to half at random, so that many gateways do not come back at once.
    """

    failures_in_a_row: int = 5
    window: float = 30.0
    share: float = 0.5
    least_results: int = 20
    first_rest: float = 1.0
    longest_rest: float = 60.0


class Breaker:
    """Closed: requests pass. Open: none does. Half open, after the rest: one does, and decides."""

    def __init__(self, *, clock: Clock, dice: random.Random, rules: Rules | None = None) -> None:
        self._clock, self._dice, self._rules = clock, dice, rules or Rules()
        self._in_a_row = 0
        self._rests = 0
        self._rest_until: float | None = None
        self._trial = False
        self._recent = self._before = (0, 0)
        self._turns_at = clock() + self._rules.window / 2

    @property
    def closed(self) -> bool:
        """Whether the server is in full use."""
        return self._rest_until is None

    @property
    def allows(self) -> bool:
        """Whether a request may go there now."""
        return self._rest_until is None or (not self._trial and self._clock() >= self._rest_until)

    @property
    def wait_seconds(self) -> float:
        """Until the next request may be tried; 0 while closed."""
        return 0.0 if self._rest_until is None else max(0.0, self._rest_until - self._clock())

    def begin(self) -> bool:
        """A request goes there, which `allows` said it may. Whether it is the trial that decides."""
        self._trial = self._rest_until is not None
        return self._trial

    def end(self, outcome: Outcome, *, trial: bool) -> None:
        """A request's result. What was begun before the breaker opened tells nothing new."""
        if trial:
            self._trial = False
            if outcome is Outcome.WELL:
                self._close()
            elif outcome is Outcome.ILL:
                self._open()
        elif self.closed and outcome is not Outcome.UNKNOWN:
            self._note(failed=outcome is Outcome.ILL)

    def _note(self, *, failed: bool) -> None:
        self._turn()
        results, failures = self._recent
        self._recent = (results + 1, failures + failed)
        self._in_a_row = self._in_a_row + 1 if failed else 0
        if failed and self._trips():
            self._open()

    def _trips(self) -> bool:
        results = self._recent[0] + self._before[0]
        failures = self._recent[1] + self._before[1]
        often = results >= self._rules.least_results and failures >= self._rules.share * results
        return often or self._in_a_row >= self._rules.failures_in_a_row

    def _turn(self) -> None:
        now, half = self._clock(), self._rules.window / 2
        if now >= self._turns_at:
            self._before = self._recent if now < self._turns_at + half else (0, 0)
            self._recent, self._turns_at = (0, 0), now + half

    def _open(self) -> None:
        rest = min(self._rules.longest_rest, self._rules.first_rest * 2.0 ** min(self._rests, 30))
        self._rests += 1
        self._rest_until = self._clock() + rest * self._dice.uniform(0.5, 1.0)

    def _close(self) -> None:
        self._rest_until, self._rests, self._in_a_row = None, 0, 0
        self._recent = self._before = (0, 0)
