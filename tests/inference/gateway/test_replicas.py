"""Several servers behind one deployment, through real sockets: failover, retries, drain, shared load."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from inference.gateway.application import Gateway
from inference.gateway.routing.sharing import LOADS
from tests.inference.gateway.fake_tgi import FakeTgi, Script
from tests.inference.gateway.house import (
    KINDS,
    SERVERS,
    House,
    ValkeyServer,
    config,
    deployment,
    free_port,
    opened,
    served,
    server_of,
)

# They start processes of their own.
pytestmark = pytest.mark.services

OVERLOADED = {"error": "Model is overloaded", "error_type": "overloaded"}


@dataclass
class Pair:
    """A house whose deployment has two servers."""

    house: House
    one: FakeTgi
    other: FakeTgi

    @property
    def seen(self) -> tuple[int, int]:
        return len(self.one.seen), len(self.other.seen)

    async def publish(self, *urls: str) -> None:
        model = deployment(*urls, kind=self.house.kind)
        await self.house.publisher.project(self.house.tenant, model)
        await asyncio.sleep(0.3)


@pytest.fixture(params=KINDS)
async def pair(
    request: pytest.FixtureRequest, valkey_server: ValkeyServer, tmp_path: Path
) -> AsyncIterator[Pair]:
    settings = {
        "first_token_timeout_seconds": 1.0,
        "connect_timeout_seconds": 0.5,
        "probe_seconds": 0.2,
        "room_seconds": 0.0,
    }
    async with (
        opened(valkey_server, tmp_path, kind=request.param, **settings) as house,
        SERVERS[request.param]() as other,
    ):
        pair = Pair(house, house.tgi, other)
        await pair.publish(house.tgi.url, other.url)
        yield pair


def name_of(pair: Pair, server: FakeTgi) -> str:
    """As records name a server."""
    return hashlib.blake2b(f"{pair.house.kind} {server.url}".encode(), digest_size=12).hexdigest()


async def test_a_record_says_which_servers_answered(pair: Pair) -> None:
    await asyncio.gather(*(pair.house.chat(messages=said(f"{n}" * 400)) for n in range(20)))
    one, other = name_of(pair, pair.one), name_of(pair, pair.other)
    assert {record["route"] for record in await pair.house.records(20)} == {one, other}


async def test_a_record_says_too_where_an_answer_went_on(pair: Pair) -> None:
    pair.one.script = Script(reset_after=2)
    while not pair.one.seen:
        await pair.house.chat(messages=said(uuid4().hex * 20))
    *_, record = await pair.house.records(sum(pair.seen) - 1)
    assert record["route"] == f"{name_of(pair, pair.one)},{name_of(pair, pair.other)}"


async def test_requests_are_spread_over_the_servers(pair: Pair) -> None:
    answers = await asyncio.gather(*(pair.house.chat(messages=said(f"{n}" * 400)) for n in range(40)))
    assert {answer.status_code for answer in answers} == {200}
    assert min(pair.seen) >= 10


async def until(happened: Callable[[], bool]) -> None:
    for _ in range(500):
        if happened():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


FAILS_FIRST = [
    Script(error=OVERLOADED),
    Script(status=503, error={"error": "loading", "error_type": "healthcheck"}),
    Script(status=500),
    Script(reset_after=0),
    Script(close_after=0),
    Script(stall_after=0),
    Script(raw=[b"data:{oops}\n\n"]),
]


@pytest.mark.parametrize("script", FAILS_FIRST)
async def test_what_fails_before_its_first_token_is_answered_by_another_server(
    pair: Pair, script: Script
) -> None:
    pair.one.script = script
    for number in range(4):
        response = await pair.house.chat(stream=bool(number % 2), messages=said(f"{number}" * 400))
        assert response.status_code == 200
        assert "Hello" in response.text
    records = await pair.house.records(4)
    assert [(one["status"], one["completion_tokens"]) for one in records] == [("completed", 5)] * 4


async def test_a_server_that_is_gone_is_passed_over(pair: Pair) -> None:
    await pair.publish(f"http://127.0.0.1:{free_port()}", pair.other.url)
    for number in range(6):
        assert (await pair.house.chat(messages=said(f"{number}" * 400))).status_code == 200
    assert len(await pair.house.records(6)) == 6


async def test_each_server_is_asked_once_however_often_they_die(pair: Pair) -> None:
    pair.one.script = pair.other.script = Script(reset_after=2)
    assert (await pair.house.chat()).status_code == 502
    assert pair.seen == (1, 1)


async def test_the_callers_own_error_is_not_tried_again(pair: Pair) -> None:
    refusal = {"error": "Input validation error: no", "error_type": "validation"}
    pair.one.script = pair.other.script = Script(status=422, error=refusal)
    assert (await pair.house.chat()).status_code == 400
    assert sum(pair.seen) == 1


async def test_another_model_than_the_one_asked_for_is_not_tried_again(pair: Pair) -> None:
    pair.one.script = pair.other.script = Script(served_by="adapter-" + "0" * 64)
    response = await pair.house.chat()
    assert (response.status_code, response.json()["error"]["code"]) == (502, "adapter_mismatch")
    assert sum(pair.seen) == 1


async def test_an_outage_is_not_multiplied(pair: Pair) -> None:
    pair.one.script = pair.other.script = Script(error=OVERLOADED)
    requests = 80
    answers = [await pair.house.chat(stream=True) for _ in range(requests)]
    assert {answer.status_code for answer in answers} == {429}
    assert sum(pair.seen) <= requests * 1.1 + 5


async def test_an_overload_says_when_to_come_back(pair: Pair) -> None:
    pair.one.script = pair.other.script = Script(
        status=429, error=OVERLOADED, retry_after=7 if pair.house.kind == "openai" else None
    )
    response = await pair.house.chat()
    assert response.status_code == 429
    assert 1 <= int(response.headers["retry-after"]) <= 7
    if pair.house.kind == "openai":
        assert int(response.headers["retry-after"]) >= 6


async def test_when_all_fail_the_breakers_open_and_close_once_they_are_well(pair: Pair) -> None:
    pair.one.script = pair.other.script = Script(status=500)
    while (answer := await pair.house.chat()).status_code == 502:
        assert sum(pair.seen) < 40
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "model_unreachable")
    assert int(answer.headers["retry-after"]) >= 1
    spared = sum(pair.seen)
    assert (await pair.house.chat()).status_code == 503
    assert sum(pair.seen) == spared
    pair.one.script = pair.other.script = Script()
    for _ in range(50):
        if (answer := await pair.house.chat()).status_code == 200:
            break
        await asyncio.sleep(0.1)
    assert answer.status_code == 200


async def test_a_server_whose_health_fails_gets_nothing_until_it_is_well(pair: Pair) -> None:
    await pair.house.chat()
    pair.one.script = Script(healthy=False)
    await asyncio.sleep(0.8)
    before = pair.seen
    for number in range(8):
        await pair.house.chat(messages=said(f"{number}" * 400))
    assert pair.seen == (before[0], before[1] + 8)
    pair.one.script = pair.other.script = Script(first_delay=0.3)
    await asyncio.sleep(0.5)
    await asyncio.gather(*(pair.house.chat(messages=said(f"{n}" * 400)) for n in range(40)))
    assert pair.seen[0] > before[0]


async def test_a_server_that_left_finishes_what_it_has_and_gets_nothing_new(pair: Pair) -> None:
    pair.one.script = pair.other.script = Script(tokens=["x"] * 60, delay=0.02)
    streams = [
        asyncio.create_task(pair.house.chat(stream=True, max_tokens=1500, messages=said(f"{n}" * 400)))
        for n in range(8)
    ]
    await until(lambda: sum(pair.seen) == 8)
    assert min(pair.seen) > 0
    before = pair.seen
    await pair.publish(pair.other.url)
    pair.other.script = Script()
    for number in range(4):
        assert (await pair.house.chat(messages=said(f"new {number}"))).status_code == 200
    answers = await asyncio.gather(*streams)
    assert all("[DONE]" in answer.text for answer in answers)
    assert pair.seen == (before[0], before[1] + 4)


async def test_a_gateway_process_knows_what_another_has_asked_of_the_servers(
    pair: Pair, valkey_server: ValkeyServer, tmp_path: Path
) -> None:
    house, kind = pair.house, pair.house.kind
    both = deployment(pair.one.url, pair.other.url, kind=kind)
    only = deployment(pair.one.url, kind=kind, alias="only")
    await house.publisher.project(house.tenant, both, only)
    await asyncio.sleep(0.3)
    async with (
        served(Gateway(config(valkey_server.url, tmp_path / "spool2"))) as url,
        httpx.AsyncClient(base_url=url, timeout=20) as client,
    ):
        second = replace(house, client=client)
        assert {(await one.chat()).status_code for one in (house, second)} == {200}
        pair.one.script = Script(tokens=["x"] * 200, delay=0.02)
        held = [
            asyncio.create_task(house.chat(model="only", stream=True, max_tokens=1000)) for _ in range(12)
        ]
        began = pair.seen[0] + len(held)
        await until(lambda: pair.seen[0] >= began)
        await asyncio.sleep(0.8)
        before = pair.seen
        for number in range(6):
            assert (await second.chat(messages=said(f"{number}" * 400))).status_code == 200
        assert pair.seen == (before[0], before[1] + 6)
        for stream in held:
            stream.cancel()
        await asyncio.gather(*held, return_exceptions=True)


async def test_a_gateway_process_that_died_is_believed_for_two_seconds_only(pair: Pair) -> None:
    await pair.house.chat()
    (busy,) = [one for one in pair.house.gateway._fleet.router.replicas if one.address.url == pair.one.url]
    await pair.house.valkey.hset(LOADS, "dead", json.dumps([1, {busy.shared_name: 1_000_000}]))
    await asyncio.sleep(0.6)
    before = pair.seen
    for number in range(6):
        await pair.house.chat(messages=said(f"{number}" * 400))
    assert pair.seen == (before[0], before[1] + 6)
    pair.one.script = pair.other.script = Script(first_delay=0.3)
    await asyncio.sleep(2.2)
    await asyncio.gather(*(pair.house.chat(messages=said(f"{n}" * 400)) for n in range(40)))
    assert pair.seen[0] > before[0]


async def test_servers_of_both_kinds_may_serve_one_deployment(house: House) -> None:
    async with SERVERS["openai"]() as other:
        model = deployment(house.tgi.url)
        model["backends"].append(server_of("openai", other.url))
        await house.publisher.project(house.tenant, model)
        await asyncio.sleep(0.3)
        answers = await asyncio.gather(*(house.chat(messages=said(f"{n}" * 400)) for n in range(20)))
        assert {answer.json()["choices"][0]["message"]["content"] for answer in answers} == {"Hello world!"}
        assert house.tgi.seen
        assert other.seen


async def test_organizations_share_no_prefix_cache_where_the_server_takes_a_salt(house: House) -> None:
    async with SERVERS["openai"]() as server:
        features = ["vllm", "cache_salt"]
        model = deployment(backends=[server_of("openai", server.url, features=features)])
        await house.publisher.project(house.tenant, model)
        await asyncio.sleep(0.3)
        assert (await house.chat()).status_code == 200
        assert (await house.chat()).status_code == 200
        salts = [one.body["cache_salt"] for one in server.seen]
        assert salts[0] == salts[1]
        assert len(salts[0]) == 64
        assert house.tenant.organization_id not in salts[0]
