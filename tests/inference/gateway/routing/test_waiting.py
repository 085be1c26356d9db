"""Waiting for room on a pool of servers."""

import asyncio

import pytest

from inference.gateway.routing.waiting import Bounds, Claim, Class, QueueFull, TooLate, Waiter, WaitingRoom
from tests.inference.gateway.routing.clockwork import FakeClock


def claim(
    organization: str = "flood",
    *,
    tokens: int = 100,
    size: int = 10,
    wait: float = 600.0,
    priority: Class = Class.INTERACTIVE,
) -> Claim:
    return Claim(
        organization_id=organization, tokens=tokens, bytes=size, wait_seconds=wait, priority=priority
    )


def room(clock: FakeClock | None = None, **bounds: int) -> WaitingRoom:
    return WaitingRoom(clock=clock or FakeClock(), bounds=Bounds(**bounds))


def served(waiting: WaitingRoom, count: int) -> list[Waiter]:
    return [waiter for _ in range(count) if (waiter := waiting.let_through()) is not None]


def at_a_pace(clock: FakeClock, waiting: WaitingRoom) -> None:
    """Let ten requests of 100 tokens through, one a second."""
    for _ in range(10):
        clock.pass_(1.0)
        assert waiting.let_through() is not None


async def test_a_flood_delays_anothers_request_by_one_of_its_own_only() -> None:
    waiting = room()
    for _ in range(10_000):
        waiting.join(claim("flood"))
    served(waiting, 50)
    single = waiting.join(claim("other"))
    assert single in served(waiting, 2)


async def test_organizations_get_the_same_tokens_however_large_their_requests() -> None:
    waiting = room()
    for _ in range(1000):
        waiting.join(claim("small", tokens=10))
        waiting.join(claim("large", tokens=200))
    had = {"small": 0, "large": 0}
    for waiter in served(waiting, 420):
        had[waiter.claim.organization_id] += waiter.claim.tokens
    assert abs(had["small"] - had["large"]) <= 200


async def test_who_was_idle_has_saved_nothing_up() -> None:
    waiting = room()
    for _ in range(200):
        waiting.join(claim("busy"))
    served(waiting, 100)
    for _ in range(100):
        waiting.join(claim("idle"))
    turns = [waiter.claim.organization_id for waiter in served(waiting, 20)]
    assert turns.count("busy") in {9, 10, 11}


async def test_one_organizations_requests_go_in_their_order() -> None:
    waiting = room()
    waiters = [waiting.join(claim()) for _ in range(5)]
    assert served(waiting, 5) == waiters


async def test_a_batch_waits_for_all_who_sit_at_a_screen() -> None:
    waiting = room()
    batch = waiting.join(claim("batch", priority=Class.BATCH))
    people = [waiting.join(claim("people")) for _ in range(3)]
    assert served(waiting, 4) == [*people, batch]


async def test_who_leaves_is_gone_at_once() -> None:
    waiting = room(requests=1)
    first = waiting.join(claim())
    waiting.leave(first)
    waiting.leave(first)
    assert (waiting.requests, waiting.bytes) == (0, 0)
    second = waiting.join(claim())
    assert waiting.let_through() is second


async def test_no_more_requests_or_bytes_wait_than_may() -> None:
    by_count, by_size = room(requests=2), room(bytes=25)
    for waiting in (by_count, by_size):
        waiting.join(claim())
        waiting.join(claim())
        with pytest.raises(QueueFull):
            waiting.join(claim("other"))
        assert waiting.requests == 2


async def test_who_would_wait_too_long_is_refused_at_once_and_told_when_to_return() -> None:
    clock = FakeClock()
    waiting = room(clock)
    for _ in range(30):
        waiting.join(claim())
    at_a_pace(clock, waiting)
    with pytest.raises(TooLate) as refused:
        waiting.join(claim(wait=5.0))
    # Twenty of a second each are before it.
    assert refused.value.retry_after_seconds == pytest.approx(15.0)
    waiting.join(claim("other", wait=5.0))


async def test_a_pool_that_stalls_is_seen_to_be_slow() -> None:
    clock = FakeClock()
    waiting = room(clock)
    for _ in range(30):
        waiting.join(claim())
    at_a_pace(clock, waiting)
    before = waiting.expected_seconds(claim())
    clock.pass_(9.0)
    after = waiting.expected_seconds(claim())
    assert before is not None
    assert after == pytest.approx(2 * before)


async def test_a_caller_who_leaves_waiting_takes_no_turn() -> None:
    waiting = room()
    leaving = asyncio.create_task(waiting.wait(claim()))
    staying = asyncio.create_task(waiting.wait(claim()))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert waiting.requests == 1
    waiting.let_through()
    await staying


async def test_a_turn_that_comes_as_its_caller_leaves_is_the_next_ones() -> None:
    waiting = room()
    leaving = asyncio.create_task(waiting.wait(claim()))
    staying = asyncio.create_task(waiting.wait(claim()))
    await asyncio.sleep(0)
    waiting.let_through()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await staying


async def test_nobody_waits_past_the_deadline() -> None:
    waiting = room()
    with pytest.raises(TooLate):
        await waiting.wait(claim(wait=0.0))
    assert waiting.requests == 0
