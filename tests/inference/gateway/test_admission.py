"""Limits on the data plane: reserved before, settled after, never overspent, whoever asks at once."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import openai
import pytest

from inference.gateway.contract import ChatMessage, GenerationRequest, Principal
from inference.gateway.faults import LimitReached
from tests.inference.gateway.house import PEPPER, House, deployment, free_port

USER, GROUP = str(uuid4()), str(uuid4())


async def publish(house: House, *limits: dict[str, Any], **more: Any) -> None:
    organization_id = house.tenant.organization_id
    document = {"organization_id": organization_id, "limits": list(limits)} | more
    await house.publisher._put(f"lw:snapshot:limits:{organization_id}", document)
    await asyncio.sleep(0.1)


def limit(
    kind: str, value: int, scope: str = "organization", subject_id: str = "", **more: Any
) -> dict[str, Any]:
    return {"scope": scope, "subject_id": subject_id, "kind": kind, "value": value} | more


async def test_without_limits_nothing_is_asked_of_valkey(house: House) -> None:
    assert (await house.chat()).status_code == 200
    before = (await house.valkey.info("commandstats")).get("cmdstat_evalsha", {"calls": 0})["calls"]
    answer = await house.chat()
    after = (await house.valkey.info("commandstats")).get("cmdstat_evalsha", {"calls": 0})["calls"]
    assert before == after
    assert not [name for name in answer.headers if name.startswith("x-ratelimit")]


async def test_admission_is_one_round_trip_and_settlement_another(house: House) -> None:
    await publish(
        house,
        limit("requests_per_minute", 100),
        limit("tokens_per_minute", 100_000, "project", house.tenant.project_id),
        limit("concurrent_streams", 10, "key", house.tenant.key_id),
    )
    assert (await house.chat()).status_code == 200
    await asyncio.sleep(0.1)
    await house.valkey.config_resetstat()
    assert (await house.chat()).status_code == 200
    await asyncio.sleep(0.1)
    assert (await house.valkey.info("commandstats"))["cmdstat_evalsha"]["calls"] == 2


async def test_a_refusal_says_which_limit_its_value_what_is_used_and_when_it_resets(house: House) -> None:
    await publish(house, limit("requests_per_minute", 2))
    allowed = [await house.chat() for _ in range(2)]
    assert [answer.status_code for answer in allowed] == [200, 200]
    assert allowed[0].headers["x-ratelimit-limit-requests"] == "2"
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in allowed] == ["1", "0"]
    refused = await house.chat()
    error = refused.json()["error"]
    assert refused.status_code == 429
    assert (error["type"], error["param"]) == ("rate_limit_error", "requests_per_minute")
    assert error["code"] == "requests_per_minute_reached"
    assert "of the organization is reached: 2 of 2 are used" in error["message"]
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["x-ratelimit-reset-requests"].endswith("s")


async def test_a_record_names_the_limit_of_which_the_least_share_was_left(house: House) -> None:
    await publish(house, limit("tokens_per_minute", 1_000_000), limit("requests_per_minute", 2))
    assert (await house.chat()).status_code == 200
    (record,) = await house.records(1)
    assert record["closest_limit"] == "requests_per_minute of the organization"


async def test_the_official_client_meets_a_rate_limit_error(house: House) -> None:
    await publish(house, limit("requests_per_minute", 0))
    official = openai.AsyncOpenAI(api_key=house.tenant.secret, base_url=f"{house.url}/v1", max_retries=0)
    async with official as client:
        with pytest.raises(openai.RateLimitError) as fault:
            await client.chat.completions.create(
                model="support", messages=[{"role": "user", "content": "Hi"}]
            )
    assert fault.value.code == "requests_per_minute_reached"


async def test_tokens_are_reserved_at_most_and_settled_as_they_were(house: House) -> None:
    await publish(house, limit("tokens_per_minute", 400))
    first = await house.chat(max_tokens=200)
    assert first.status_code == 200
    real = first.json()["usage"]["total_tokens"]
    await asyncio.sleep(0.1)
    second = await house.chat(max_tokens=200)
    assert second.status_code == 200
    left = [int(answer.headers["x-ratelimit-remaining-tokens"]) for answer in (first, second)]
    # Both reserve the same; what the first left behind is what it used, not what it might have used.
    assert left[1] == left[0] - real
    assert (await house.chat(max_tokens=500)).status_code == 429


async def test_a_request_larger_than_the_limit_is_told_so_and_not_retried(house: House) -> None:
    await publish(house, limit("tokens_per_minute", 50))
    refused = await house.chat(max_tokens=200)
    assert refused.status_code == 429
    assert "lower 'max_tokens'" in refused.json()["error"]["message"]
    assert refused.headers["x-should-retry"] == "false"


async def test_streams_at_once_are_bounded_and_free_when_they_end(house: House) -> None:
    await publish(house, limit("concurrent_streams", 1, "key", house.tenant.key_id))
    answers = await asyncio.gather(*(house.chat() for _ in range(12)))
    codes = [answer.status_code for answer in answers]
    assert 1 <= codes.count(200) < 12
    assert set(codes) == {200, 429}
    await asyncio.sleep(0.2)
    assert (await house.chat()).status_code == 200


async def test_a_dead_process_slot_expires(house: House) -> None:
    await publish(house, limit("concurrent_streams", 1))
    name = f"lw:limit:{{{house.tenant.organization_id}}}:concurrent_streams:organization:slots"
    dead = int((datetime.now(UTC).timestamp() - 1) * 1000)
    await house.valkey.zadd(name, {"dead:1": dead})
    await house.valkey.set(f"{name}:sum", 1)
    assert (await house.chat()).status_code == 200


async def test_spend_is_bounded_by_what_the_database_knew_and_what_came_since(house: House) -> None:
    month = datetime.now(UTC).date().replace(day=1).isoformat()
    await house.publisher._put("lw:snapshot:prices", {"prices": {"support": [1_000_000, 1_000_000]}})
    spend = limit("spend_microunits_per_month", 10_000, period=month, used=9_000)
    await publish(house, spend)
    assert (await house.chat(max_tokens=100)).status_code == 200
    refused = await house.chat(max_tokens=1_500)
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "spend_microunits_per_month_reached"
    assert refused.headers["x-should-retry"] == "false"
    await publish(house, spend | {"used": 10_000})
    assert (await house.chat(max_tokens=1)).status_code == 429


async def test_members_and_groups_share_their_bounds_over_keys_and_chat(house: House) -> None:
    await house.publisher.key(house.tenant, maker_id=USER)
    await publish(house, limit("requests_per_minute", 2, "group", GROUP), groups={USER: [GROUP]})
    assert (await house.chat()).status_code == 200
    person = Principal(
        organization_id=house.tenant.organization_id,
        project_id=house.tenant.project_id,
        key_id=None,
        user_id=USER,
        permissions=frozenset({"inference.complete"}),
    )
    request = GenerationRequest(model="support", messages=(ChatMessage("user", "Hi"),), max_tokens=5)
    events = [event async for event in house.gateway.complete(person, request)]
    assert events
    with pytest.raises(LimitReached):
        await anext(house.gateway.complete(person, request))
    assert (await house.chat()).status_code == 429


async def test_a_limit_on_one_model_leaves_the_others_alone(house: House) -> None:
    await house.publisher.project(
        house.tenant, deployment(house.tgi.url), deployment(house.tgi.url, alias="other")
    )
    await publish(house, limit("requests_per_minute", 0, "project", house.tenant.project_id, model="other"))
    assert (await house.chat()).status_code == 200
    assert (await house.chat(model="other")).status_code == 429


async def test_another_organizations_limits_are_not_ones_own(house: House) -> None:
    await house.publisher._put(
        f"lw:snapshot:limits:{uuid4()}",
        {"organization_id": str(uuid4()), "limits": [limit("requests_per_minute", 0)]},
    )
    assert (await house.chat()).status_code == 200


async def test_with_valkey_away_a_process_serves_its_share_and_no_more(house: House) -> None:
    await publish(house, limit("requests_per_minute", 4))
    assert (await house.chat()).status_code == 200
    house.valkey_server.stop()
    try:
        codes = [(await house.chat()).status_code for _ in range(6)]
    finally:
        house.valkey_server.start()
    assert codes == [200, 200, 200, 429, 429, 429]


@asynccontextmanager
async def further_processes(house: House, count: int) -> AsyncIterator[list[str]]:
    ports = [free_port() for _ in range(count)]
    environment = {
        **os.environ,
        "VALKEY_URL": house.valkey_server.url,
        "API_KEY_PEPPER": PEPPER.hex(),
        "POD_KEY": "pod-secret",
        "SPOOL_DIR": str(house.spool),
    }
    command = [sys.executable, "-m", "inference.gateway", "--port"]
    running = await asyncio.gather(
        *(asyncio.create_subprocess_exec(*command, str(port), env=environment) for port in ports)
    )
    try:
        async with httpx.AsyncClient() as client:
            for port in ports:
                await until_ready(client, f"http://127.0.0.1:{port}/readyz")
        yield [f"http://127.0.0.1:{port}" for port in ports]
    finally:
        for process in running:
            process.kill()
            await process.wait()


async def until_ready(client: httpx.AsyncClient, url: str) -> None:
    for _ in range(300):
        try:
            if (await client.get(url)).status_code == 200:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.1)
    pytest.fail(f"{url} was not ready in time")


@pytest.mark.parametrize("kind", ["requests_per_minute", "spend_microunits_per_month"])
async def test_two_hundred_requests_at_once_over_several_processes_overspend_by_nothing(
    house: House, kind: str, tmp_path: Path
) -> None:
    # A request of 1 prompt token bound to `count` and 5 of answer; priced so that one costs at least 1000.
    await house.publisher._put("lw:snapshot:prices", {"prices": {"support": [0, 1_000_000_000]}})
    async with further_processes(house, 3) as urls:
        value = 10 if kind == "requests_per_minute" else 10 * 5_000
        await publish(house, limit(kind, value))
        body = {"model": "support", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}
        async with httpx.AsyncClient(timeout=60, headers=house.tenant.headers) as client:
            places = [*urls, house.url]
            answers = await asyncio.gather(
                *(
                    client.post(f"{places[n % len(places)]}/v1/chat/completions", json=body)
                    for n in range(200)
                )
            )
    good = [answer for answer in answers if answer.status_code == 200]
    assert {answer.status_code for answer in answers} == {200, 429}
    if kind == "requests_per_minute":
        assert len(good) == 10
    else:
        spent = sum(answer.json()["usage"]["completion_tokens"] * 1_000 for answer in good)
        assert 0 < spent <= value
