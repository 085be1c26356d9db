"""What is billed is what the servers made, to the token, whoever leaves and whatever dies, at any instant."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.inference.gateway.fake_tgi import FakeTgi, Script
from tests.inference.gateway.house import KINDS, SERVERS, House, ValkeyServer, deployment, opened

# They start processes of their own.
pytestmark = pytest.mark.services

REQUESTS, AT_ONCE = 40, 8
LEAVING_SHARE = 0.3
PROMPT_TOKENS = 7
TOKENS = [f"t{number} " for number in range(16)]
SCRIPT = Script(tokens=TOKENS, prompt_tokens=PROMPT_TOKENS, first_delay=0.01, delay=0.004)
LONGEST_SECONDS = 0.12


@dataclass
class Gate:
    """A house whose deployment has two servers, and the dice that decide who leaves and who dies when."""

    house: House
    servers: tuple[FakeTgi, FakeTgi]
    dice: random.Random

    @property
    def made(self) -> int:
        """Tokens by the servers' own logs."""
        return sum(one.emitted for server in self.servers for one in server.seen)

    @property
    def seen(self) -> int:
        """Generations by the servers' own logs."""
        return sum(len(server.seen) for server in self.servers)

    async def kill_now_and_then(self) -> None:
        """Forever, one of the servers at a time."""
        while True:
            await asyncio.sleep(self.dice.uniform(0.02, 0.25))
            self.dice.choice(self.servers).kill()

    async def send(self, bodies: Iterator[dict[str, Any]]) -> None:
        """Ask for all of it, so many at once; some leave at an instant that the dice say."""
        instants = iter(self._instants())

        async def asking() -> None:
            for body, instant in zip(bodies, instants, strict=False):
                with contextlib.suppress(TimeoutError, httpx.HTTPError):
                    async with asyncio.timeout(instant):
                        await self.ask(body)

        await asyncio.gather(*(asking() for _ in range(AT_ONCE)))

    def _instants(self) -> list[float | None]:
        share, longest = LEAVING_SHARE, LONGEST_SECONDS
        return [
            self.dice.uniform(0, longest) if self.dice.random() < share else None for _ in range(REQUESTS)
        ]

    async def ask(self, body: dict[str, Any]) -> None:
        path = "/v1/chat/completions" if "messages" in body else "/v1/completions"
        house = self.house
        async with house.client.stream("POST", path, json=body, headers=house.tenant.headers) as response:
            async for _ in response.aiter_raw():
                pass

    async def settled(self) -> list[dict[str, Any]]:
        """All usage records, once everything under way has ended."""
        meter = self.house.gateway._meter
        for _ in range(500):
            unsettled = meter._settling or meter._waiting or meter._on_the_way
            busy = self.house.gateway._completer._running or unsettled
            if not busy and all(one.ended.is_set() for server in self.servers for one in server.seen):
                break
            await asyncio.sleep(0.01)
        return await self.house.records(0)


@asynccontextmanager
async def gate(server: ValkeyServer, folder: Path, kind: str, seed: int) -> AsyncIterator[Gate]:
    # The servers share this loop: when it stands still, they too are late to see that somebody left.
    settings: dict[str, Any] = {"probe_seconds": 60.0, "cache_wait_seconds": 0.02, "hang_up_seconds": 10.0}
    async with opened(server, folder, kind=kind, **settings) as house, SERVERS[kind]() as other:
        house.tgi.script = other.script = SCRIPT
        model = deployment(house.tgi.url, other.url, kind=kind)
        await house.publisher.project(house.tenant, model)
        await asyncio.sleep(0.1)
        yield Gate(house, (house.tgi, other), random.Random(seed))


def bodies(dice: random.Random) -> Iterator[dict[str, Any]]:
    """Requests of every shape, no two alike."""
    for number in range(REQUESTS):
        body = {"model": "support", "stream": dice.random() < 0.6, "max_tokens": 100}
        shape = dice.randrange(4)
        if shape == 0:
            yield body | {"messages": said(f"{number}"), "n": dice.randint(2, 4)}
        elif shape == 1:
            yield body | {"prompt": [f"{number} a", f"{number} b"]}
        else:
            yield body | {"messages": said(f"{number}")}


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


async def run(server: ValkeyServer, folder: Path, kind: str, seed: int) -> None:
    async with gate(server, folder, kind, seed) as here:
        killing = asyncio.create_task(here.kill_now_and_then())
        try:
            await here.send(bodies(here.dice))
        finally:
            killing.cancel()
        records = await here.settled()
        assert len({one["request_id"] for one in records}) == len(records) <= REQUESTS
        assert Counter(one["status"] for one in records).keys() <= {"completed", "cancelled", "failed"}
        assert sum(one["completion_tokens"] for one in records) == here.made
        # A prompt whose every server died before it could be counted is an estimate.
        assert all(one["prompt_tokens"] <= 2 * PROMPT_TOKENS for one in records)
        assert here.made > REQUESTS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(2))
async def test_what_is_billed_is_what_was_made_to_the_token(
    valkey_server: ValkeyServer, tmp_path: Path, kind: str, seed: int
) -> None:
    await run(valkey_server, tmp_path, kind, seed)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(2, 52))
async def test_what_is_billed_is_what_was_made_to_the_token_a_hundred_times(
    valkey_server: ValkeyServer, tmp_path: Path, kind: str, seed: int
) -> None:
    await run(valkey_server, tmp_path, kind, seed)


ROUNDS, CALLERS = 10, 5


async def share(server: ValkeyServer, folder: Path, kind: str, seed: int) -> None:
    """Several ask the same at once. One generation serves them, so whoever stays longest has all of it."""
    async with gate(server, folder, kind, seed) as here:
        await here.house.publisher.cache(here.house.tenant)
        await asyncio.sleep(0.1)
        settled, made = 0, 0
        for number in range(ROUNDS):
            killing = asyncio.create_task(here.kill_now_and_then())
            body = {"model": "support", "messages": said(f"{number}"), "temperature": 0, "stream": True}
            await asyncio.gather(*(leaving(here, body, here.dice.uniform(0.05, 0.2)) for _ in range(CALLERS)))
            killing.cancel()
            records = (await here.settled())[settled:]
            # Who leaves before the gateway has heard of them leaves no record.
            assert 1 <= len(records) <= CALLERS
            # Nor did whoever left before the first token have anything of an answer.
            assert not any(one["completion_tokens"] for one in records if one["cache"] == "off")
            assert max(one["completion_tokens"] for one in records) == here.made - made
            settled, made = settled + len(records), here.made


async def leaving(here: Gate, body: dict[str, Any], instant: float) -> None:
    with contextlib.suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(instant):
            await here.ask(body)


@pytest.mark.parametrize("kind", KINDS)
async def test_who_stays_longest_with_a_shared_generation_has_all_that_was_made(
    valkey_server: ValkeyServer, tmp_path: Path, kind: str
) -> None:
    await share(valkey_server, tmp_path, kind, 0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(1, 11))
async def test_who_stays_longest_with_a_shared_generation_has_all_that_was_made_each_time(
    valkey_server: ValkeyServer, tmp_path: Path, kind: str, seed: int
) -> None:
    await share(valkey_server, tmp_path, kind, seed)
