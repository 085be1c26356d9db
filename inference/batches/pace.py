"""How fast a batch asks: what is worth another try, and for how long it steps back for everybody else."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from inference.batches.asking import Answer

LINES_AT_ONCE = 4
OVERLOADED = frozenset({429, 503})
# The model or the gateway broke down on this request; that may be the request's own doing.
BROKEN = frozenset({500, 502, 504})
MAX_BROKEN_TRIES = 3
MAX_BACKOFF_SECONDS = 60.0
# A limit that a request alone exceeds is told with a short wait and the word not to try again.
WORTH_WAITING_SECONDS = 120.0


def is_worth_another_try(answer: Answer, broken: int) -> bool:
    """Whether the same request may be answered otherwise later, after it broke down so often."""
    if answer.status in OVERLOADED:
        hopeless = answer.headers.get("x-should-retry") == "false"
        return not hopeless or (retry_after_of(answer) or 0.0) > WORTH_WAITING_SECONDS
    return answer.status in BROKEN and broken + 1 < MAX_BROKEN_TRIES


def retry_after_of(answer: Answer) -> float | None:
    """The seconds that the answer wants to pass before another try."""
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isdigit() else None


@dataclass
class Pace:
    """Of one turn: after a refusal nothing is asked for a while, then one request at a time till one goes."""

    clock: Callable[[], float] = time.monotonic
    _strain: int = 0
    _until: float = field(default=float("-inf"))

    def slow_down(self, answer: Answer) -> None:
        """The answer was that of somebody overloaded or broken."""
        self._strain += 1
        wait = retry_after_of(answer)
        if wait is None:
            wait = min(MAX_BACKOFF_SECONDS, 2.0**self._strain)
        # Not all batches at the same moment again.
        wait *= random.uniform(1.0, 1.25)  # noqa: S311
        self._until = max(self._until, self.clock() + wait)

    def ease(self) -> None:
        """A request went through."""
        self._strain = 0

    @property
    def rest(self) -> float:
        """For how many seconds nothing is to be asked."""
        return max(0.0, self._until - self.clock())

    @property
    def width(self) -> int:
        """How many requests may be under way."""
        return 1 if self._strain else LINES_AT_ONCE
