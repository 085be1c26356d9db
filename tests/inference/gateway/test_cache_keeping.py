"""What becomes of kept answers: altered, cleared, crowded out, out of reach."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from inference.gateway.application import Gateway
from tests.inference.gateway.asking import (
    IN_VALKEY_ONLY,
    ask,
    ask_and_keep,
    caching,
    kept,
    outcome,
    until,
    without_own,
)
from tests.inference.gateway.fake_tgi import Script
from tests.inference.gateway.house import House, Tenant, ValkeyServer, config, deployment, served

# They start processes of their own.
pytestmark = pytest.mark.services

ANSWER = ["some", "thing", " that", " is", " kept", "."]


@pytest.fixture
async def house(valkey_server: ValkeyServer, tmp_path: Path) -> AsyncIterator[House]:
    """Keeps entries in Valkey only, so that each is read again."""
    async with caching(valkey_server, tmp_path, Script(tokens=ANSWER), **IN_VALKEY_ONLY) as house:
        yield house


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    (tmp_path / "valkey").mkdir()
    server = ValkeyServer(tmp_path / "valkey")
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("place", [0, 1, 5, 20, -20, -1])
async def test_an_entry_that_was_altered_is_a_miss_and_made_good(house: House, place: int) -> None:
    first = await ask_and_keep(house)
    (name,) = await kept(house)
    entry = bytearray(await house.valkey.get(name) or b"")
    entry[place] ^= 1
    await house.valkey.set(name, bytes(entry))
    with capture_logs() as logs:
        second = await ask(house)
    assert outcome(second) == "miss"
    assert without_own(second) == without_own(first)
    (told,) = [one for one in logs if one["event"] == "cache_entry_unreadable"]
    assert not any(word in str(told) for word in ("some", "thing", "kept."))
    await asyncio.sleep(0.1)
    assert outcome(await ask(house)) == "hit"


@pytest.mark.parametrize("length", [1, 12, 13, 28, 60])
async def test_an_entry_that_was_cut_is_a_miss(house: House, length: int) -> None:
    await ask_and_keep(house)
    (name,) = await kept(house)
    entry: Any = await house.valkey.get(name)
    await house.valkey.set(name, entry[:length])
    assert outcome(await ask(house)) == "miss"


async def test_an_entry_in_the_place_of_another_is_a_miss(house: House) -> None:
    await ask_and_keep(house, "one")
    house.tgi.script = Script(tokens=[*ANSWER, " two"])
    await ask_and_keep(house, "two")
    one, two = await kept(house)
    first, second = await house.valkey.mget(one, two)
    await house.valkey.mset({one: second, two: first})
    assert [outcome(await ask(house, "one")), outcome(await ask(house, "two"))] == ["miss", "miss"]


@pytest.mark.parametrize("memory", [0, 1 << 20])
async def test_a_new_generation_begins_with_nothing_at_once(
    valkey_server: ValkeyServer, tmp_path: Path, memory: int
) -> None:
    async with caching(valkey_server, tmp_path, Script(tokens=ANSWER), cache_memory_bytes=memory) as house:
        await ask_and_keep(house)
        await house.publisher.cache(house.tenant, generation=2)
        await asyncio.sleep(0.1)
        assert outcome(await ask(house)) == "miss"


async def test_without_its_secret_an_organization_has_no_cache_at_once(house: House) -> None:
    await ask_and_keep(house)
    await house.publisher.no_cache(house.tenant)
    await asyncio.sleep(0.1)
    assert [outcome(await ask(house)), outcome(await ask(house))] == ["off", "off"]
    await house.publisher.cache(house.tenant)
    await asyncio.sleep(0.1)
    assert outcome(await ask(house)) == "hit"


@pytest.mark.parametrize(
    "altered",
    [{"key_id": None, "sealed": "AAAA"}, {"sealed": "!"}, {"organization_id": "x"}, {"sealed": None}],
)
async def test_a_secret_that_was_altered_turns_the_cache_off(house: House, altered: dict[str, Any]) -> None:
    await house.publisher.cache(house.tenant, **altered)
    await asyncio.sleep(0.1)
    assert outcome(await ask(house)) == "off"


async def test_a_secret_opens_for_its_organization_and_generation_only(house: House) -> None:
    names = [f"lw:snapshot:cache:{one.organization_id}" for one in (house.tenant, Tenant.new())]
    value: Any = await house.valkey.get(names[0])
    for altered in (
        value.replace(b'"generation": 1', b'"generation": 2'),
        value.replace(house.tenant.organization_id.encode(), names[1].rpartition(":")[2].encode()),
    ):
        assert altered != value
        await house.valkey.set(names[0], altered)
        await house.valkey.publish("lw:snapshot:changed", names[0])
        await asyncio.sleep(0.1)
        assert outcome(await ask(house)) == "off"


async def test_another_process_gives_what_this_one_kept(house: House, tmp_path: Path) -> None:
    first = await ask_and_keep(house)
    async with served(Gateway(config(house.valkey_server.url, tmp_path / "second"))) as url:
        second = await ask(house, url=url)
    assert outcome(second) == "hit"
    assert without_own(second) == without_own(first)


async def test_with_valkey_away_requests_go_on_without_the_cache(
    own_valkey: ValkeyServer, tmp_path: Path
) -> None:
    async with caching(own_valkey, tmp_path, Script(tokens=ANSWER)) as house:
        await ask_and_keep(house, "before")
        own_valkey.stop()
        assert outcome(await ask(house, "meanwhile")) == "off"
        # What is in memory is still given, as long as the snapshot may be believed.
        assert outcome(await ask(house, "before")) == "hit"
        own_valkey.start()

        async def back() -> bool:
            return outcome(await ask(house, "afterwards")) != "off"

        await until(back, within=15)


async def test_an_organizations_entries_stay_within_its_bytes_and_the_oldest_go_first(
    valkey_server: ValkeyServer, tmp_path: Path
) -> None:
    most = 4000
    async with caching(
        valkey_server, tmp_path, Script(tokens=ANSWER), **IN_VALKEY_ONLY, cache_organization_bytes=most
    ) as house:
        other = Tenant.new()
        await house.publisher.key(other)
        await house.publisher.project(other, deployment(house.tgi.url))
        await house.publisher.cache(other)
        await ask_and_keep(house, "theirs", tenant=other)
        for number in range(20):
            # Twice, since once is not enough where something else has to go.
            await ask(house, f"question {number}")
            await asyncio.sleep(0.03)
            await ask(house, f"question {number}")
            await asyncio.sleep(0.03)
        root = f"lw:cache:{{{house.tenant.organization_id}}}"
        sizes: Any = await house.valkey.hgetall(f"{root}:sizes")
        total = int(sizes.pop(b"total"))
        assert total == sum(map(int, sizes.values())) <= most
        assert len(sizes) == len(await kept(house)) == await house.valkey.zcard(f"{root}:index")
        assert 3 < len(sizes) < 20
        assert outcome(await ask(house, "question 19")) == "hit"
        assert outcome(await ask(house, "question 0")) == "miss"
        assert outcome(await ask(house, "theirs", tenant=other)) == "hit"


async def test_where_there_is_little_room_only_what_is_asked_again_is_kept(
    valkey_server: ValkeyServer, tmp_path: Path
) -> None:
    async with caching(
        valkey_server, tmp_path, Script(tokens=ANSWER), **IN_VALKEY_ONLY, cache_organization_bytes=2000
    ) as house:
        for number in range(10):
            await ask(house, f"question {number}")
            await asyncio.sleep(0.03)
        crowd = await kept(house)
        assert outcome(await ask(house, "once")) == "miss"
        await asyncio.sleep(0.05)
        assert await kept(house) == crowd
        assert outcome(await ask(house, "once")) == "miss"
        await asyncio.sleep(0.05)
        assert outcome(await ask(house, "once")) == "hit"


async def test_kept_answers_end(valkey_server: ValkeyServer, tmp_path: Path) -> None:
    async with caching(valkey_server, tmp_path, Script(tokens=ANSWER), cache_seconds=1.2) as house:
        await ask_and_keep(house)
        assert outcome(await ask(house)) == "hit"
        await asyncio.sleep(1.3)
        assert outcome(await ask(house)) == "miss"


async def test_a_hit_counts_as_a_request_and_its_tokens_towards_no_limit(house: House) -> None:
    organization_id = house.tenant.organization_id
    await house.valkey.set("lw:snapshot:prices", b'{"prices": {"support": [1000000, 1000000]}}')
    kinds = ("requests_per_minute", "tokens_per_minute", "tokens_per_day", "spend_microunits_per_month")
    limits = [
        {"scope": "organization", "subject_id": "", "kind": kind, "value": 100_000, "period": "", "used": 0}
        for kind in kinds
    ]
    document = {"organization_id": organization_id, "limits": limits}
    await house.publisher._put(f"lw:snapshot:limits:{organization_id}", document)
    await asyncio.sleep(0.1)
    await ask_and_keep(house)
    await asyncio.sleep(0.1)
    before = await counted(house)
    assert outcome(await ask(house)) == "hit"
    await asyncio.sleep(0.1)
    after = await counted(house)
    used = 7 + len(ANSWER) + 1
    assert before == {
        "requests_per_minute": 1,
        "tokens_per_minute": used,
        "tokens_per_day": used,
        "spend_microunits_per_month": used,
    }
    assert after == before | {"requests_per_minute": 2}


async def counted(house: House) -> dict[str, int]:
    """What is counted of each kind of limit."""
    root = f"lw:limit:{{{house.tenant.organization_id}}}:"
    found: dict[str, int] = {}
    async for name in house.valkey.scan_iter(match=root + "*"):
        kind = name.decode().removeprefix(root).split(":")[0]
        if b":slots" in name:
            continue
        value: Any = (
            await house.valkey.hget(name, "t")
            if kind.endswith("per_minute")
            else await house.valkey.get(name)
        )
        found[kind] = int(value or 0)
    return found
