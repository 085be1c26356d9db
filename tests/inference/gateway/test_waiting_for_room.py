"""Requests that find every server full wait in the gateway, fairly, and no longer than is of use."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from inference.gateway.contract import ChatMessage, GenerationRequest, Principal
from tests.inference.gateway.asking import until
from tests.inference.gateway.fake_tgi import Script, Seen
from tests.inference.gateway.house import House, Tenant, ValkeyServer, deployment, opened

# They start processes of their own.
pytestmark = pytest.mark.services

PLACES = 4
SCRIPT = Script(tokens=["a", "b"], first_delay=0.01, delay=0.02)
# What a request with these may take is the prompt's estimate and 20 tokens: so a server has room for one.
ONE_AT_A_TIME = {"room_tokens": 10, "room_seconds": 15.0}


class Narrow:
    """A house whose server answers so many requests at once and refuses the others, as TGI does."""

    def __init__(self, house: House, places: int) -> None:
        self.house, self.most = house, 0
        server, generate = house.tgi, house.tgi._generate
        running = 0

        async def at_most(body: dict[str, Any], script: Script, *streams: Any) -> bool:
            nonlocal running
            if running >= places:
                full = Script(status=429, error={"error": "Model is overloaded", "error_type": "overloaded"})
                return await generate(body, full, *streams)
            running += 1
            self.most = max(self.most, running)
            try:
                return await generate(body, script, *streams)
            finally:
                running -= 1

        server._generate = at_most  # type: ignore[method-assign]


@asynccontextmanager
async def waiting(server: ValkeyServer, folder: Path, **settings: Any) -> AsyncIterator[House]:
    async with opened(server, folder, **settings) as house:
        house.tgi.script = SCRIPT
        yield house


async def neighbour(house: House) -> Tenant:
    """Another organization with a deployment on the same server."""
    tenant = Tenant.new()
    await house.publisher.key(tenant)
    await house.publisher.project(tenant, deployment(house.tgi.url))
    return tenant


async def ask(house: House, text: str, *, tenant: Tenant | None = None, **changes: Any) -> httpx.Response:
    headers = (tenant or house.tenant).headers | changes.pop("headers", {})
    body = {"model": "support", "messages": [{"role": "user", "content": text}], "max_tokens": 20} | changes
    return await house.client.post("/v1/chat/completions", json=body, headers=headers)


def asked(seen: Seen) -> str:
    """The question of a generation."""
    return str(seen.body["inputs"]).split("user\n")[1].split("<|")[0]


async def queued(house: House, count: int) -> None:
    """Return when so many wait."""

    async def are() -> bool:
        return house.gateway._fleet.dispatcher.waiting >= count

    await until(are)


async def test_a_server_that_says_it_is_full_makes_requests_wait_and_not_fail(
    valkey_server: ValkeyServer, tmp_path: Path
) -> None:
    async with waiting(valkey_server, tmp_path, room_seconds=15.0) as house:
        narrow = Narrow(house, PLACES)
        answers = await asyncio.gather(*(ask(house, f"{n}") for n in range(30)))
        assert [answer.status_code for answer in answers] == [200] * 30
        assert narrow.most == PLACES
        records = await house.records(30)
        assert {one["status"] for one in records} == {"completed"}
        # What was refused at first came back in its turn; nobody asked on and on.
        assert len(house.tgi.seen) <= 30 + 30


async def test_a_flood_delays_anothers_request_by_one_of_its_own(
    valkey_server: ValkeyServer, tmp_path: Path
) -> None:
    async with waiting(valkey_server, tmp_path, **ONE_AT_A_TIME) as house:
        other = await neighbour(house)
        flood = [asyncio.create_task(ask(house, "flood", stream=bool(n % 2))) for n in range(60)]
        await queued(house, 50)
        begun = len(house.tgi.seen)
        assert (await ask(house, "single", tenant=other)).status_code == 200
        order = [asked(one) for one in house.tgi.seen[begun:]]
        assert order.index("single") <= 2
        for task in flood:
            task.cancel()
        await asyncio.gather(*flood, return_exceptions=True)


async def test_whoever_waits_and_leaves_never_reaches_the_server(
    valkey_server: ValkeyServer, tmp_path: Path
) -> None:
    async with waiting(valkey_server, tmp_path, **ONE_AT_A_TIME) as house:
        house.tgi.script = Script(tokens=["a"] * 10, delay=0.05)
        first = asyncio.create_task(ask(house, "first"))
        await house.tgi.begun.acquire()
        leaving = [asyncio.create_task(ask(house, "leaving")) for _ in range(5)]
        await queued(house, 5)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        last = await ask(house, "last")
        assert (last.status_code, (await first).status_code) == (200, 200)
        assert [asked(one) for one in house.tgi.seen] == ["first", "last"]
        records = await house.records(7)
        assert sorted(one["status"] for one in records) == ["cancelled"] * 5 + ["completed"] * 2


async def test_a_batch_goes_after_a_person(valkey_server: ValkeyServer, tmp_path: Path) -> None:
    async with waiting(valkey_server, tmp_path, **ONE_AT_A_TIME) as house:
        house.tgi.script = Script(tokens=["a"] * 5, delay=0.03)
        tasks = [asyncio.create_task(ask(house, "first"))]
        await house.tgi.begun.acquire()
        tasks += [asyncio.create_task(_complete(house, f"batch {n}", batch=True)) for n in range(3)]
        await queued(house, 3)
        tasks += [asyncio.create_task(_complete(house, "person", batch=False))]
        await asyncio.gather(*tasks)
        assert [asked(one) for one in house.tgi.seen][:2] == ["first", "person"]
        assert len(house.tgi.seen) == 5


async def test_when_every_server_is_gone_those_who_wait_are_told_so(
    valkey_server: ValkeyServer, tmp_path: Path
) -> None:
    async with waiting(valkey_server, tmp_path, **ONE_AT_A_TIME) as house:
        house.tgi.script = Script(tokens=["a"] * 2000, delay=0.05)
        tasks = [asyncio.create_task(ask(house, f"{n}")) for n in range(12)]
        await house.tgi.begun.acquire()
        await queued(house, 11)
        house.tgi._server.close()
        house.tgi.kill()
        answers = await asyncio.gather(*tasks)
        assert {answer.status_code for answer in answers} <= {502, 503}
        assert [answer.status_code for answer in answers].count(503) >= 10
        assert house.gateway._fleet.dispatcher.waiting == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_who_is_flexible_goes_after_who_is_not_and_is_told_so(
    valkey_server: ValkeyServer, tmp_path: Path, stream: bool
) -> None:
    async with waiting(valkey_server, tmp_path, **ONE_AT_A_TIME) as house:
        house.tgi.script = Script(tokens=["a"] * 5, delay=0.03)
        tasks = [asyncio.create_task(ask(house, "first"))]
        await house.tgi.begun.acquire()
        tasks += [asyncio.create_task(ask(house, "flexible", service_tier="flex", stream=stream))]
        await queued(house, 1)
        tasks += [asyncio.create_task(ask(house, "person"))]
        answers = await asyncio.gather(*tasks)
        assert [asked(one) for one in house.tgi.seen] == ["first", "person", "flexible"]
        assert ['"service_tier":"flex"' in answer.text for answer in answers] == [False, True, False]


async def _complete(house: House, text: str, *, batch: bool) -> None:
    principal = Principal(
        organization_id=house.tenant.organization_id,
        project_id=house.tenant.project_id,
        key_id=None,
        user_id=None,
        permissions=frozenset({"inference.complete"}),
        batch=batch,
    )
    request = GenerationRequest(model="support", messages=(ChatMessage("user", text),), max_tokens=20)
    async for _ in house.gateway.complete(principal, request):
        pass


@pytest.mark.parametrize("header", ["x-stainless-read-timeout", "x-stainless-timeout"])
async def test_who_would_wait_longer_than_their_client_does_is_refused_at_once(
    valkey_server: ValkeyServer, tmp_path: Path, header: str
) -> None:
    async with waiting(valkey_server, tmp_path, **ONE_AT_A_TIME) as house:
        flood = [asyncio.create_task(ask(house, "flood")) for _ in range(60)]
        for _ in range(10):
            await house.tgi.begun.acquire()
        dispatcher = house.gateway._fleet.dispatcher
        before = dispatcher.waiting
        refused = await ask(house, "hasty", headers={header: "1"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "model_overloaded")
        assert before - dispatcher.waiting <= 5, "it was told at once, not after a second"
        assert int(refused.headers["retry-after"]) >= 1
        assert 0 < int(refused.headers["retry-after-ms"]) < 15_000
        for task in flood:
            task.cancel()
        await asyncio.gather(*flood, return_exceptions=True)


async def test_the_official_client_is_told_when_to_come_back(
    valkey_server: ValkeyServer, tmp_path: Path
) -> None:
    async with waiting(valkey_server, tmp_path, room_tokens=10, room_seconds=0.1) as house:
        house.tgi.script = Script(tokens=["a"] * 40, delay=0.05)
        held = asyncio.create_task(ask(house, "held"))
        await house.tgi.begun.acquire()
        async with openai.AsyncOpenAI(
            base_url=f"{house.url}/v1", api_key=house.tenant.secret, max_retries=0
        ) as client:
            with pytest.raises(openai.RateLimitError) as raised:
                await client.chat.completions.create(
                    model="support", messages=[{"role": "user", "content": "Hi"}], max_tokens=20
                )
        assert raised.value.code == "model_overloaded"
        assert int(raised.value.response.headers["retry-after-ms"]) > 0
        held.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await held


@pytest.mark.parametrize("value", ["soon", "-1", "nan", "inf"])
async def test_a_timeout_that_is_no_number_is_refused_by_name(house: House, value: str) -> None:
    answer = await ask(house, "Hi", headers={"x-stainless-read-timeout": value})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "x-stainless-read-timeout")


async def test_only_so_many_wait_and_what_waits_does_not_count_as_running(
    valkey_server: ValkeyServer, tmp_path: Path
) -> None:
    settings: dict[str, Any] = ONE_AT_A_TIME | {"max_waiting_requests": 6, "max_concurrent_requests": 2}
    async with waiting(valkey_server, tmp_path, **settings) as house:
        house.tgi.script = Script(tokens=["a"] * 5, delay=0.02)
        answers = await asyncio.gather(*(ask(house, "flood") for _ in range(12)))
        codes = [answer.status_code for answer in answers]
        assert codes.count(200) == 7
        assert codes.count(429) == 5
