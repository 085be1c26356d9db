"""A gateway whose machine's clock is an hour wrong, or jumps: whatever is shared goes by Valkey's clock."""

import asyncio
import time
from collections.abc import Callable

import pytest

from tests.inference.gateway.asking import ask, until
from tests.inference.gateway.house import House

# They start processes of their own.
pytestmark = pytest.mark.services

HOUR = 3600.0
REAL = time.time


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Put the clock forward or back by so many seconds."""

    def by(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: REAL() + seconds)

    return by


async def test_a_rate_is_the_same_whatever_the_clock_says(
    house: House, jump: Callable[[float], None]
) -> None:
    bound = {"scope": "organization", "kind": "requests_per_minute", "value": 2}
    await house.publisher.limits(house.tenant, bound)
    await asyncio.sleep(0.2)
    assert (await house.chat()).status_code == 200
    jump(HOUR)
    assert (await house.chat()).status_code == 200
    assert (await house.chat()).status_code == 429
    jump(-HOUR)
    refused = await house.chat()
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 60


@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
async def test_keys_deployments_and_usage_survive_a_jump(
    house: House, jump: Callable[[float], None], seconds: float
) -> None:
    assert (await house.chat()).status_code == 200
    jump(seconds)
    assert (await house.chat(stream=True)).status_code == 200
    records = await house.records(2)
    assert [one["status"] for one in records] == ["completed"] * 2
    assert all(0 <= one["duration_ms"] < 60_000 for one in records)


@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
async def test_a_kept_answer_is_no_older_than_it_is_told_to_be(
    house: House, jump: Callable[[float], None], seconds: float
) -> None:
    await house.publisher.cache(house.tenant)
    await asyncio.sleep(0.2)
    await ask(house)

    async def kept() -> bool:
        return (await ask(house)).headers["x-loomworks-cache"] == "hit"

    await until(kept)
    jump(seconds)
    answer = await ask(house)
    assert answer.status_code == 200
    assert int(answer.headers.get("age", "0")) <= max(0, seconds) + 60
