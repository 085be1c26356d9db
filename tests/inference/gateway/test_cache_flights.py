"""Many who ask the same at the same time share one generation, and each leaves on their own."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from inference.gateway.application import Gateway
from tests.inference.gateway.asking import ask, caching, kept, outcome, until, without_own
from tests.inference.gateway.fake_tgi import Script
from tests.inference.gateway.house import House, ValkeyServer, config, served

TOKENS = [f"t{number} " for number in range(30)]


@pytest.fixture
async def house(valkey_server: ValkeyServer, tmp_path: Path) -> AsyncIterator[House]:
    """Waits for no other process, so that what is shared is shared within this one."""
    script = Script(tokens=TOKENS, delay=0.02)
    async with caching(valkey_server, tmp_path, script, cache_wait_seconds=0.02) as house:
        yield house


async def leave_after(house: House, tokens: int) -> None:
    """Stream, and leave after so many tokens."""
    body = {"model": "support", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0}
    left = tokens
    async with house.client.stream(
        "POST", "/v1/chat/completions", json=body | {"stream": True}, headers=house.tenant.headers
    ) as response:
        async for line in response.aiter_lines():
            left -= '"content":"t' in line
            if not left:
                return


async def test_twenty_callers_share_one_generation(house: House) -> None:
    shapes = [{"stream": True} if number % 2 else {} for number in range(20)]
    answers = await asyncio.gather(*(ask(house, **shape) for shape in shapes))
    assert len(house.tgi.seen) == 1
    assert sorted(map(outcome, answers)) == ["hit"] * 19 + ["miss"]
    assert len({without_own(answer) for answer in answers}) == 2
    records = await house.records(20)
    assert len({record["request_id"] for record in records}) == 20
    assert {record["completion_tokens"] for record in records} == {len(TOKENS) + 1}
    assert len(await kept(house)) == 1


async def test_who_comes_late_gets_everything_from_the_first_token_on(house: House) -> None:
    first = asyncio.create_task(ask(house, stream=True))
    await asyncio.sleep(0.3)
    second = await ask(house, stream=True)
    assert outcome(second) == "hit"
    assert without_own(second) == without_own(await first)
    assert len(house.tgi.seen) == 1


async def test_the_first_may_leave_and_the_others_get_their_answer(house: House) -> None:
    house.tgi.script = Script(tokens=TOKENS, delay=0.05)
    first = asyncio.create_task(leave_after(house, 15))

    async def begun() -> bool:
        return bool(house.tgi.seen)

    await until(begun)
    second = asyncio.create_task(ask(house))
    await first
    answer = await second
    assert answer.json()["choices"][0]["message"]["content"] == "".join(TOKENS)
    assert len(house.tgi.seen) == 1
    assert not house.tgi.seen[0].aborted
    left, stayed = sorted(await house.records(2), key=lambda record: record["completion_tokens"])
    assert (left["status"], left["cache"]) == ("cancelled", "miss")
    assert 15 <= left["completion_tokens"] < len(TOKENS)
    assert (stayed["status"], stayed["cache"]) == ("completed", "hit")


async def test_the_last_who_leaves_ends_the_generation(house: House) -> None:
    house.tgi.script = Script(tokens=["t"] * 500, delay=0.02)
    await asyncio.gather(leave_after(house, 3), leave_after(house, 6))
    async with asyncio.timeout(1):
        await house.tgi.seen[0].ended.wait()
    assert len(house.tgi.seen) == 1
    assert house.tgi.seen[0].aborted
    await asyncio.sleep(0.1)
    assert await kept(house) == []
    # Whoever comes now does not wait for what has ended.
    house.tgi.script = Script(tokens=TOKENS)
    assert outcome(await ask(house)) == "miss"


async def test_callers_who_leave_before_the_first_token_end_it_too(house: House) -> None:
    house.tgi.script = Script(tokens=TOKENS, first_delay=30)
    for answer in await asyncio.gather(
        *(_impatient(house) for _ in range(3)),
        return_exceptions=True,
    ):
        assert isinstance(answer, httpx.TimeoutException)
    async with asyncio.timeout(1):
        await house.tgi.seen[0].ended.wait()
    records = await house.records(3)
    assert [record["completion_tokens"] for record in records] == [0, 0, 0]


async def _impatient(house: House) -> httpx.Response:
    body = {"model": "support", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0}
    return await house.client.post(
        "/v1/chat/completions", json=body, headers=house.tenant.headers, timeout=0.3
    )


async def test_a_generation_that_fails_is_each_callers_own_error(house: House) -> None:
    house.tgi.script = Script(tokens=TOKENS, delay=0.02, reset_after=10)
    answers = await asyncio.gather(*(ask(house) for _ in range(5)))
    assert [answer.status_code for answer in answers] == [502] * 5
    assert {answer.json()["error"]["code"] for answer in answers} == {"model_failed"}
    assert len(house.tgi.seen) == 1
    records = await house.records(5)
    assert {record["status"] for record in records} == {"failed"}
    house.tgi.script = Script(tokens=TOKENS)
    assert outcome(await ask(house)) == "miss"


async def test_a_refusal_is_each_callers_own_error(house: House) -> None:
    house.tgi.script = Script(
        status=429, error={"error": "full", "error_type": "overloaded"}, first_delay=0.2
    )
    answers = await asyncio.gather(*(ask(house) for _ in range(5)))
    assert [answer.status_code for answer in answers] == [429] * 5


async def test_what_is_drawn_is_never_shared_unasked(house: House) -> None:
    answers = await asyncio.gather(*(ask(house, temperature=0.8) for _ in range(4)))
    assert [outcome(answer) for answer in answers] == ["off"] * 4
    assert len(house.tgi.seen) == 4


async def test_two_processes_share_one_generation(valkey_server: ValkeyServer, tmp_path: Path) -> None:
    script = Script(tokens=TOKENS, delay=0.02)
    other = Gateway(config(valkey_server.url, tmp_path / "second"))
    async with caching(valkey_server, tmp_path, script) as house, served(other) as url:
        # Each has read the snapshot before.
        await asyncio.gather(ask(house, "warm"), ask(house, "warm up", url=url))
        before = len(house.tgi.seen)
        first = asyncio.create_task(ask(house))
        await asyncio.sleep(0.1)
        second = await ask(house, url=url)
        assert outcome(await first) == "miss"
        assert outcome(second) == "hit"
        assert len(house.tgi.seen) == before + 1


async def test_a_process_waits_for_another_only_a_little(valkey_server: ValkeyServer, tmp_path: Path) -> None:
    async with caching(
        valkey_server, tmp_path, Script(tokens=TOKENS, delay=0.02), cache_wait_seconds=0.3
    ) as house:
        house.tgi.script = Script(tokens=TOKENS, delay=0.1)
        settings = config(valkey_server.url, tmp_path / "second", cache_wait_seconds=0.3)
        async with served(Gateway(settings)) as url:
            first = asyncio.create_task(ask(house))

            async def begun() -> bool:
                return bool(house.tgi.seen)

            await until(begun)
            second = await ask(house, url=url)
            assert (outcome(await first), outcome(second)) == ("miss", "miss")
            assert len(house.tgi.seen) == 2
