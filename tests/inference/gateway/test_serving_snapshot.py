"""The snapshot: revocation, outages, a wiped store."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.inference.gateway.fake_tgi import Script
from tests.inference.gateway.house import House, Tenant, ValkeyServer, deployment, opened

# They start processes of their own.
pytestmark = pytest.mark.services


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    (tmp_path / "valkey").mkdir()
    server = ValkeyServer(tmp_path / "valkey")
    server.start()
    yield server
    server.stop()


async def until_listening(house: House) -> None:
    for _ in range(250):
        if house.gateway.ready:
            return
        await asyncio.sleep(0.02)
    raise TimeoutError


async def test_a_revoked_key_stops_within_two_seconds(house: House) -> None:
    await until_listening(house)
    assert (await house.chat()).status_code == 200
    await house.publisher.revoke(house.tenant)
    began = time.monotonic()
    while (await house.chat()).status_code != 401:
        assert time.monotonic() - began < 2
    assert time.monotonic() - began < 2


async def test_a_revoked_key_stops_even_if_the_message_was_lost(house: House) -> None:
    await until_listening(house)
    assert (await house.chat()).status_code == 200
    await house.valkey.delete(house.tenant.key_name)
    await house.valkey.client_kill_filter(_type="pubsub")
    await asyncio.sleep(1.5)
    assert (await house.chat()).status_code == 401


async def test_a_revoked_key_ends_its_open_stream(valkey_server: ValkeyServer, tmp_path: Path) -> None:
    async with opened(valkey_server, tmp_path, recheck_key_seconds=0.2) as house:
        await until_listening(house)
        house.tgi.script = Script(tokens=["x"] * 200, delay=0.05)
        stream = asyncio.create_task(house.chat(stream=True))
        await asyncio.sleep(0.5)
        await house.publisher.revoke(house.tenant)
        response = await asyncio.wait_for(stream, 5)
        assert "invalid_api_key" in response.text
        assert "[DONE]" not in response.text
        (record,) = await house.records(1)
        assert record["status"] == "cancelled"
        assert 0 < record["completion_tokens"] < 200


async def test_a_new_deployment_answers_at_once(house: House) -> None:
    await until_listening(house)
    assert (await house.chat(model="fresh")).status_code == 404
    await house.publisher.project(house.tenant, deployment(house.tgi.url, alias="fresh"))
    await asyncio.sleep(0.3)
    assert (await house.chat(model="fresh")).status_code == 200


async def test_while_valkey_is_down_memory_serves_for_a_while_then_503(
    own_valkey: ValkeyServer, tmp_path: Path
) -> None:
    settings = {"snapshot_max_age_seconds": 0.5, "snapshot_outage_seconds": 2.0}
    async with opened(own_valkey, tmp_path, **settings) as house:
        await until_listening(house)
        assert (await house.chat()).status_code == 200
        own_valkey.stop()
        for _ in range(3):
            await asyncio.sleep(0.4)
            assert (await house.chat()).status_code == 200
        stranger = await house.chat(tenant=Tenant.new())
        assert (stranger.status_code, stranger.json()["error"]["code"]) == (503, "snapshot_unavailable")
        await asyncio.sleep(2.0)
        late = await house.chat()
        assert (late.status_code, late.json()["error"]["code"]) == (503, "snapshot_unavailable")
        assert late.headers["retry-after"]
        own_valkey.start()
        await asyncio.sleep(1.5)
        assert (await house.chat()).status_code == 200
        records = await house.records(5)
        assert len(records) == len({one["request_id"] for one in records}) == 5
        assert list(house.spool.glob("usage-*")) == []


async def test_a_flood_of_made_up_keys_pushes_nobody_out_of_memory(
    own_valkey: ValkeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference.gateway.snapshot._MAX_ENTRIES", 100)
    monkeypatch.setattr("inference.gateway.snapshot._MAX_UNKNOWN_KEYS", 20)
    async with opened(own_valkey, tmp_path) as house:
        await until_listening(house)
        assert (await house.chat()).status_code == 200
        for _ in range(200):
            made_up = await house.client.get("/v1/models", headers=Tenant.new().headers)
            assert made_up.status_code == 401
        own_valkey.stop()
        assert (await house.chat()).status_code == 200


async def test_a_wiped_valkey_is_503_not_401(house: House) -> None:
    await house.valkey.flushall()
    response = await house.chat()
    assert (response.status_code, response.json()["error"]["code"]) == (503, "snapshot_unavailable")


async def test_an_unreadable_entry_is_503_and_no_crash(house: House) -> None:
    await house.valkey.set(house.tenant.key_name, "{")
    assert (await house.chat()).status_code == 503


async def test_a_gateway_that_starts_before_valkey_serves_once_it_is_there(
    own_valkey: ValkeyServer, tmp_path: Path
) -> None:
    async with opened(own_valkey, tmp_path) as house:
        own_valkey.stop()
        assert (await house.chat()).status_code == 503
        own_valkey.start()
        await asyncio.sleep(1)
        assert (await house.chat()).status_code == 200
