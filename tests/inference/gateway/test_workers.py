"""What runs in the background of a gateway ends when it is told to."""

import asyncio
import contextlib

from inference.gateway.workers import end


async def test_a_worker_that_takes_a_cancellation_for_a_timeout_ends_all_the_same() -> None:
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if swallowed == 2:
                    raise
                swallowed += 1

    worker = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await end([worker, None])
    assert (worker.cancelled(), swallowed) == (True, 2)


async def test_what_a_worker_raises_at_its_end_is_its_own_affair() -> None:
    async def failing() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        raise ValueError

    worker = asyncio.create_task(failing())
    await asyncio.sleep(0)
    await end([worker])
    assert worker.done()
