"""Waiting for room on a pool of servers."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import cast

import pytest

from inference.backends.faults import Unreachable
from inference.gateway.routing.breaker import Outcome
from inference.gateway.routing.fairness import Class
from inference.gateway.routing.replicas import Lease
from inference.gateway.routing.router import NoRoom
from inference.gateway.routing.waiting import Bounds, Claim, NoTurn, WaitingRoom
from tests.inference.gateway.routing.clockwork import FakeClock


@dataclass
class Pool:
    """Servers with so many places, and who waits for them. `served` has whose turn it was, in order."""

    bounds: Bounds = field(default_factory=Bounds)
    clock: FakeClock = field(default_factory=FakeClock)
    places: int = 0
    served: list[str] = field(default_factory=list)
    fault: Unreachable | None = None
    tasks: list[asyncio.Task[Lease]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.room = WaitingRoom(clock=self.clock, bounds=self.bounds)

    def claim(
        self,
        name: str = "flood",
        *,
        tokens: int = 100,
        size: int = 10,
        priority: Class = Class.INTERACTIVE,
    ) -> Claim:
        def ask() -> Lease:
            if self.fault is not None:
                raise self.fault
            if not self.places:
                raise NoRoom("full")
            self.places -= 1
            self.served.append(name)
            return cast(Lease, self)

        return Claim(organization_id=name, tokens=tokens, bytes=size, priority=priority, ask=ask)

    def end(self, outcome: Outcome) -> None:
        """As a lease: it was given back."""
        self.places += 1

    def come(self, claim: Claim, *, seconds: float = 600.0, again: bool = False) -> asyncio.Task[Lease]:
        task = asyncio.ensure_future(self.room.wait(claim, seconds=seconds, again=again))
        self.tasks.append(task)
        return task

    async def free(self, places: int = 1, *, seconds_each: float = 0.0) -> None:
        """Places become free, one after the other."""
        await asyncio.sleep(0)
        for _ in range(places):
            self.clock.pass_(seconds_each)
            self.places += 1
            self.room.let_through()
        await asyncio.sleep(0)

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def test_a_flood_delays_anothers_request_by_one_of_its_own_at_most() -> None:
    pool = Pool(Bounds(requests=20_000))
    for _ in range(10_000):
        pool.come(pool.claim("flood"))
    await pool.free(50)
    pool.come(pool.claim("other"))
    await pool.free(2)
    assert "other" in pool.served[-2:]
    await pool.close()


async def test_organizations_get_the_same_tokens_however_large_their_requests() -> None:
    pool = Pool()
    for _ in range(1000):
        pool.come(pool.claim("small", tokens=10))
        pool.come(pool.claim("large", tokens=200))
    await pool.free(420)
    turns = Counter(pool.served)
    assert abs(10 * turns["small"] - 200 * turns["large"]) <= 200
    await pool.close()


async def test_who_was_idle_has_saved_nothing_up() -> None:
    pool = Pool()
    for _ in range(200):
        pool.come(pool.claim("busy"))
    await pool.free(100)
    for _ in range(100):
        pool.come(pool.claim("idle"))
    await pool.free(20)
    assert pool.served[-20:].count("busy") in {9, 10, 11}
    await pool.close()


async def test_one_organizations_requests_go_in_their_order() -> None:
    pool = Pool()
    tasks = [pool.come(pool.claim()) for _ in range(5)]
    for done in range(5):
        await pool.free()
        assert [task.done() for task in tasks] == [True] * (done + 1) + [False] * (4 - done)


async def test_a_batch_waits_for_all_who_sit_at_a_screen() -> None:
    pool = Pool()
    pool.come(pool.claim("batch", priority=Class.BATCH))
    for _ in range(3):
        pool.come(pool.claim("people"))
    await pool.free(4)
    assert pool.served == ["people"] * 3 + ["batch"]


async def test_whoever_had_a_turn_for_nothing_is_the_first_to_have_another() -> None:
    pool = Pool()
    for name in ("one", "one", "other", "other"):
        pool.come(pool.claim(name))
    await pool.free()
    assert pool.served == ["one"]
    again = pool.come(pool.claim("one"), again=True)
    await pool.free()
    assert again.done()
    await pool.close()


async def test_who_comes_while_there_is_room_goes_at_once() -> None:
    pool = Pool(places=1)
    pool.come(pool.claim())
    await asyncio.sleep(0)
    assert (pool.served, pool.room.requests) == (["flood"], 0)


async def test_who_leaves_is_gone_at_once_and_the_next_has_the_turn() -> None:
    pool = Pool()
    leaving, staying = pool.come(pool.claim("a")), pool.come(pool.claim("b"))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    assert (pool.room.requests, pool.room.bytes) == (1, 10)
    await pool.free()
    await staying
    assert pool.served == ["b"]


async def test_a_turn_that_comes_as_its_caller_leaves_is_given_back() -> None:
    pool = Pool()
    leaving = pool.come(pool.claim("a"))
    await asyncio.sleep(0)
    pool.places = 1
    pool.room.let_through()
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    assert (pool.places, pool.room.requests) == (1, 0)


async def test_a_caller_who_has_left_takes_no_turn() -> None:
    pool = Pool()
    leaving, staying = pool.come(pool.claim("a")), pool.come(pool.claim("b"))
    await asyncio.sleep(0)
    leaving.cancel()
    pool.places = 1
    pool.room.let_through()
    await staying
    assert pool.served == ["b"]


@pytest.mark.parametrize("bounds", [Bounds(requests=2), Bounds(bytes=25)])
async def test_no_more_requests_or_bytes_of_one_organization_wait_than_may(bounds: Bounds) -> None:
    pool = Pool(bounds)
    held = [pool.come(pool.claim()) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(NoTurn, match="Too many"):
        await pool.come(pool.claim())
    assert not any(task.done() for task in held)
    await pool.close()


async def test_a_flood_that_fills_the_room_makes_way_for_another() -> None:
    pool = Pool(Bounds(requests=10))
    flood = [pool.come(pool.claim("flood")) for _ in range(10)]
    await asyncio.sleep(0)
    pool.come(pool.claim("other"))
    await asyncio.sleep(0)
    with pytest.raises(NoTurn, match="Too many"):
        await flood[-1]
    await pool.free(2)
    assert "other" in pool.served
    await pool.close()


async def test_a_batch_makes_way_for_a_person_and_never_the_other_way_round() -> None:
    pool = Pool(Bounds(requests=2))
    batch = [pool.come(pool.claim("a", priority=Class.BATCH)) for _ in range(2)]
    await asyncio.sleep(0)
    pool.come(pool.claim("a"))
    await asyncio.sleep(0)
    with pytest.raises(NoTurn):
        await batch[-1]
    pool.come(pool.claim("a"))
    await asyncio.sleep(0)
    with pytest.raises(NoTurn):
        await pool.come(pool.claim("b", priority=Class.BATCH))
    await pool.close()


async def test_who_would_wait_too_long_is_refused_at_once_and_told_when_to_return() -> None:
    pool = Pool()
    for _ in range(30):
        pool.come(pool.claim())
    await pool.free(10, seconds_each=1.0)
    with pytest.raises(NoTurn, match="in time") as refused:
        await pool.come(pool.claim(), seconds=5.0)
    # Twenty of a second each are before it.
    assert refused.value.retry_after_seconds == pytest.approx(15.0)
    patient = pool.come(pool.claim("other"), seconds=5.0)
    await pool.free(2)
    assert patient.done()
    await pool.close()


async def test_a_pool_that_stalls_is_seen_to_be_slow() -> None:
    pool = Pool()
    for _ in range(30):
        pool.come(pool.claim())
    await pool.free(10, seconds_each=1.0)
    before = pool.room.expected_seconds(pool.claim())
    pool.clock.pass_(9.0)
    assert before is not None
    assert pool.room.expected_seconds(pool.claim()) == pytest.approx(2 * before)
    await pool.close()


async def test_nobody_waits_longer_than_they_said() -> None:
    pool = Pool()
    with pytest.raises(NoTurn, match="in time"):
        await pool.come(pool.claim(), seconds=0.01)
    assert pool.room.requests == 0


async def test_when_no_server_is_left_whoever_waits_is_told_so() -> None:
    pool = Pool()
    waiting = [pool.come(pool.claim()) for _ in range(3)]
    await asyncio.sleep(0)
    pool.fault = Unreachable("gone")
    pool.room.let_through()
    for task in waiting:
        with pytest.raises(Unreachable):
            await task
