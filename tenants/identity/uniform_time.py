"""Let an answer take as long whichever way it goes, so that its time tells nothing."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

# Longer than a password's hashing and the writing that only one of the ways does.
AT_LEAST_SECONDS = 0.4


@contextmanager
def no_sooner(than_seconds: float = AT_LEAST_SECONDS) -> Iterator[None]:
    """Wait at the end until so much time has passed since the beginning."""
    begun = time.monotonic()
    try:
        yield
    finally:
        time.sleep(max(0.0, begun + than_seconds - time.monotonic()))
