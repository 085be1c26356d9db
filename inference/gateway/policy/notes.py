"""What guardrails found in one request, and how long they took: counts and times, never content."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from inference.gateway.policy.document import Policy

# So that what is told fits the usage record's field.
_MOST_TOLD = 99
_MOST_MILLISECONDS = 9999.0


class GuardNotes:
    """Counts findings by guardrail and side, for example `pii.answer`."""

    def __init__(self) -> None:
        self._found: Counter[str] = Counter()
        self.seconds = 0.0
        self.blocked = False

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Count the time spent within."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - began

    def found(self, name: str, count: int = 1) -> None:
        """So many more findings."""
        self._found[name] += count

    def told(self) -> str:
        """On one line of at most 100 characters: milliseconds, findings, whether anything was blocked."""
        findings = [f"{name} {min(count, _MOST_TOLD)}" for name, count in sorted(self._found.items())]
        outcome = [*findings, "blocked"] if self.blocked else findings or ["passed"]
        milliseconds = min(self.seconds * 1000, _MOST_MILLISECONDS)
        return f"{milliseconds:.{2 if milliseconds < 99 else 0}f} ms; {', '.join(outcome)}"


def notes_for(policy: Policy) -> GuardNotes | None:
    """Where to take findings down; None where nothing is looked for."""
    return GuardNotes() if policy.guards_answers or policy.guards_prompts else None
