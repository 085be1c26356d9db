"""Ending what runs in the background."""

import asyncio
from collections.abc import Sequence
from typing import Any

_AGAIN_SECONDS = 0.5


async def end(workers: Sequence[asyncio.Task[Any] | None]) -> None:
    """Cancel tasks and wait for their end, whatever they raise.

    A client that reconnects at that moment may take a cancellation for its own timeout, so it is repeated.
    """
    left = {worker for worker in workers if worker is not None}
    while left:
        for worker in left:
            worker.cancel()
        done, left = await asyncio.wait(left, timeout=_AGAIN_SECONDS)
        await asyncio.gather(*done, return_exceptions=True)
