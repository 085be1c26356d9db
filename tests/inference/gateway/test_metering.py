"""Usage is recorded exactly once, through disconnects, failures and outages."""

import asyncio
import json
import random
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest

from inference.gateway.contract import ChatMessage, Finished, GenerationRequest, Principal, Started, Token
from inference.gateway.faults import GatewayFault, ModelNotFound, PermissionMissing
from inference.gateway.metering.spool import Spool, SpoolFull
from tests.inference.gateway.fake_tgi import Script
from tests.inference.gateway.house import House, ValkeyServer, opened, over_both_kinds

# They start processes of their own.
pytestmark = pytest.mark.services


async def leave_after(house: House, lines: int) -> int:
    """Stream, leave after so many token chunks; returns the tokens seen."""
    body = {"model": "support", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    seen = 0
    async with house.client.stream(
        "POST", "/v1/chat/completions", json=body, headers=house.tenant.headers
    ) as response:
        async for line in response.aiter_lines():
            seen += '"content":"t' in line
            if seen >= lines:
                break
    return seen


@over_both_kinds
async def test_a_client_that_leaves_stops_the_model_within_a_second_and_pays_what_was_made(
    house: House,
) -> None:
    house.tgi.script = Script(tokens=[f"t{i}" for i in range(500)], delay=0.02)
    seen = await leave_after(house, 5)
    async with asyncio.timeout(1):
        await house.tgi.seen[0].ended.wait()
    assert house.tgi.seen[0].aborted
    (record,) = await house.records(1)
    assert record["status"] == "cancelled"
    assert seen <= record["completion_tokens"] <= house.tgi.seen[0].emitted
    assert record["prompt_tokens"] == 7


async def test_a_record_says_by_what_it_was_allowed(house: House) -> None:
    await house.chat()
    (record,) = await house.records(1)
    assert (record["permission"], record["cache"]) == ("key inference.complete", "off")
    assert (record["closest_limit"], record["guardrail"], record["canary"]) == (None,) * 3
    assert record["batch"] is False


@over_both_kinds
@pytest.mark.parametrize("stream", [False, True])
async def test_counts_that_cannot_be_are_not_billed(house: House, stream: bool) -> None:
    house.tgi.script = Script(prompt_tokens=1_000_000, completion_tokens=2_000_000)
    response = await house.chat(stream=stream, max_tokens=50)
    assert response.status_code == 200
    (record,) = await house.records(1)
    prompt = house.tgi.seen[0].body.get("inputs") or house.tgi.seen[0].body["prompt"]
    # A server that counts as it goes and lies in that leaves no better guess than one.
    assert 1 <= record["completion_tokens"] <= 5
    assert record["prompt_tokens"] <= len(prompt.encode()) + 16


@over_both_kinds
async def test_a_client_that_leaves_a_whole_answer_stops_the_model_too(house: House) -> None:
    house.tgi.script = Script(tokens=["x"] * 500, delay=0.02)
    with pytest.raises(httpx.TimeoutException):
        await house.client.post(
            "/v1/chat/completions",
            json={"model": "support", "messages": [{"role": "user", "content": "Hi"}]},
            headers=house.tenant.headers,
            timeout=0.3,
        )
    async with asyncio.timeout(1):
        await house.tgi.seen[0].ended.wait()
    (record,) = await house.records(1)
    assert record["status"] == "cancelled"
    assert abs(record["completion_tokens"] - house.tgi.seen[0].emitted) <= 1


@over_both_kinds
async def test_a_client_that_leaves_before_the_first_token_pays_nothing(house: House) -> None:
    house.tgi.script = Script(first_delay=30)
    with pytest.raises(httpx.TimeoutException):
        await house.client.post(
            "/v1/chat/completions",
            json={"model": "support", "messages": [{"role": "user", "content": "Hi"}], "stream": True},
            headers=house.tenant.headers,
            timeout=0.3,
        )
    async with asyncio.timeout(1):
        await house.tgi.seen[0].ended.wait()
    (record,) = await house.records(1)
    assert (record["status"], record["completion_tokens"], record["prompt_tokens"]) == ("cancelled", 0, 0)


@over_both_kinds
async def test_metering_is_exact_when_a_third_of_the_clients_leave_at_random(house: House) -> None:
    house.tgi.script = Script(tokens=[f"t{i}" for i in range(20)], delay=0.005)
    dice, requests = random.Random(7), 200
    plan = [dice.randrange(1, 20) if dice.random() < 0.3 else 10_000 for _ in range(requests)]
    gate = asyncio.Semaphore(16)

    async def one(leave: int) -> int:
        async with gate:
            return await leave_after(house, leave)

    seen = await asyncio.gather(*(one(leave) for leave in plan))
    records = await house.records(requests)
    assert len(records) == len({one["request_id"] for one in records}) == requests
    whole = [one for one in records if one["status"] == "completed"]
    assert all((one["completion_tokens"], one["prompt_tokens"]) == (21, 7) for one in whole)
    cut = [one for one in records if one["status"] == "cancelled"]
    assert len(whole) + len(cut) == requests
    assert all(1 <= one["completion_tokens"] <= 21 and one["prompt_tokens"] == 7 for one in cut)
    billed, emitted = (
        sum(one["completion_tokens"] for one in records),
        sum(one.emitted for one in house.tgi.seen),
    )
    assert sum(seen) <= billed <= emitted
    assert emitted - billed <= 3 * len(cut), "only tokens on the wire when the client left are given away"


async def test_while_valkey_is_down_usage_waits_on_disk_and_arrives_later_once(tmp_path: Path) -> None:
    (tmp_path / "valkey").mkdir()
    server = ValkeyServer(tmp_path / "valkey")
    server.start()
    try:
        async with opened(server, tmp_path) as house:
            assert (await house.chat()).status_code == 200
            server.stop()
            for _ in range(5):
                assert (await house.chat()).status_code == 200
            files = list(house.spool.glob("usage-*.jsonl"))
            assert files
            assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
            server.start()
            records = await house.records(6, within=8)
            assert len(records) == len({one["request_id"] for one in records}) == 6
            await asyncio.sleep(0.3)
            assert list(house.spool.glob("usage-*.jsonl")) == []
    finally:
        server.stop()


async def test_what_a_dead_process_left_on_disk_is_sent(valkey_server: ValkeyServer, tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    left = tmp_path / "spool" / "usage-1-dead.jsonl"
    left.write_bytes(json.dumps({"request_id": "one"}).encode() + b"\n" + b'{"request_id": "to')
    async with opened(valkey_server, tmp_path) as house:
        records = await house.records(1)
        assert [one["request_id"] for one in records] == ["one"]
        assert not left.exists()


async def test_when_usage_can_be_kept_nowhere_no_tokens_are_given_out(tmp_path: Path) -> None:
    (tmp_path / "valkey").mkdir()
    server = ValkeyServer(tmp_path / "valkey")
    server.start()
    try:
        async with opened(server, tmp_path, max_spool_bytes=600) as house:
            assert (await house.chat()).status_code == 200
            server.stop()
            answers = [await house.chat() for _ in range(3)]
            assert answers[-1].status_code == 503
            assert answers[-1].json()["error"]["code"] == "metering_unavailable"
            server.start()
            given = 1 + sum(answer.status_code == 200 for answer in answers)
            assert len(await house.records(given, within=8)) == given
            assert (await house.chat()).status_code == 200
    finally:
        server.stop()


def test_the_spool_is_bounded_and_its_files_are_not_shared(tmp_path: Path) -> None:
    spool, other = Spool(tmp_path, max_bytes=20), Spool(tmp_path, max_bytes=20)
    spool.append([b"0123456789"])
    with pytest.raises(SpoolFull):
        other.append([b"0123456789"])
    with other.drained() as records:
        assert records is None
    spool.close()
    with other.drained() as records:
        assert records == [b"0123456789"]
    assert list(tmp_path.iterdir()) == []


async def test_acknowledged_usage_is_trimmed_and_nothing_else(house: House) -> None:
    await house.valkey.xgroup_create("lw:usage", "writers", id="0", mkstream=True)
    for _ in range(3):
        await house.chat()
    await house.records(3)
    answer: Any = await house.valkey.xreadgroup("writers", "one", {"lw:usage": ">"}, count=2)
    entries = answer[0][1]
    await house.valkey.xack("lw:usage", "writers", entries[0][0])
    await house.gateway._meter._trim()
    left = await house.valkey.xrange("lw:usage")
    assert left is not None
    assert entries[1][0] in [one for one, _ in left]
    assert len(left) >= 2


def principal(house: House, *permissions: str) -> Principal:
    return Principal(
        organization_id=house.tenant.organization_id,
        project_id=house.tenant.project_id,
        key_id=None,
        user_id="0199",
        permissions=frozenset(permissions),
    )


REQUEST = GenerationRequest(model="support", messages=(ChatMessage("user", "Hi"),), surface="console.chat")


async def test_an_in_process_caller_gets_the_same_events_and_one_record(house: House) -> None:
    allowed = principal(house, "inference.complete")
    received = [event async for event in house.gateway.complete(allowed, REQUEST)]
    assert isinstance(received[0], Started)
    assert "".join(one.text for one in received if isinstance(one, Token)) == "Hello world!"
    assert isinstance(received[-1], Finished)
    (record,) = await house.records(1)
    assert (record["request_id"], record["user_id"]) == (received[0].request_id, "0199")
    assert (record["surface"], record["key_id"]) == ("console.chat", None)


@over_both_kinds
async def test_closing_the_iterator_cancels_the_model_and_meters_what_was_made(house: House) -> None:
    house.tgi.script = Script(tokens=["x"] * 500, delay=0.01)
    events = house.gateway.complete(principal(house, "inference.complete"), REQUEST)
    for _ in range(4):
        await anext(events)
    await events.aclose()
    async with asyncio.timeout(1):
        await house.tgi.seen[0].ended.wait()
    (record,) = await house.records(1)
    assert (record["status"], record["prompt_tokens"]) == ("cancelled", 7)
    assert 3 <= record["completion_tokens"] <= house.tgi.seen[0].emitted


async def test_an_in_process_caller_gets_faults_as_exceptions(house: House) -> None:
    with pytest.raises(PermissionMissing):
        await anext(house.gateway.complete(principal(house), REQUEST))
    foreign = GenerationRequest(model="other", messages=REQUEST.messages)
    with pytest.raises(ModelNotFound):
        await anext(house.gateway.complete(principal(house, "inference.complete"), foreign))
    house.tgi.script = Script(reset_after=1)
    events = house.gateway.complete(principal(house, "inference.complete"), REQUEST)
    assert isinstance(await anext(events), Started)
    assert await anext(events) == Token("Hello")
    with pytest.raises(GatewayFault, match="failed"):
        await anext(events)
