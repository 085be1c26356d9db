"""The retry budget: an outage must not be multiplied by those who ask again."""


class RetryBudget:
    """A bucket that every request fills a little and every retry empties by one.

    However long an outage lasts, there are at most `share` of the requests, and `burst`, retries.
    """

    def __init__(self, *, share: float = 0.1, burst: float = 5.0) -> None:
        self._share, self._burst = share, burst
        self._left = burst

    def note_request(self) -> None:
        """A request has begun."""
        self._left = min(self._burst, self._left + self._share)

    def take(self) -> bool:
        """Whether a retry may be made; it is counted then."""
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
