"""The link to Valkey, against a real one that is stopped, frozen, locked and made to forget."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from inference.gateway.link import Link, Unreachable
from tests.inference.gateway.house import ValkeyServer, free_port

# They start processes of their own.
pytestmark = pytest.mark.services

SCRIPTS = {
    "add": "return redis.call('INCRBY', KEYS[1], ARGV[1])",
    "fail": "return redis.error_reply('WRONG as told')",
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    server = ValkeyServer(tmp_path)
    server.start()
    yield server
    server.stop()


@asynccontextmanager
async def linked(url: str, timeout_seconds: float = 0.5) -> AsyncIterator[Link]:
    link = Link(url, timeout_seconds=timeout_seconds, scripts=SCRIPTS)
    yield link
    await link.aclose()


async def test_each_gets_the_answer_to_its_own_question(server: ValkeyServer) -> None:
    async with linked(server.url) as link:
        echoes = [link.ask("ECHO", f"{number}" * 1000) for number in range(500)]
        sums = [link.run("add", ["sum"], [1]) for _ in range(500)]
        assert await asyncio.gather(*echoes) == [f"{number}".encode() * 1000 for number in range(500)]
        assert await asyncio.gather(*sums) == list(range(1, 501))


async def test_who_leaves_takes_no_answer_from_the_next(server: ValkeyServer) -> None:
    async with linked(server.url) as link:
        await link.ask("PING")
        left, stays = link.ask("ECHO", "left"), link.ask("ECHO", "stays")
        left.cancel()
        assert await stays == b"stays"


async def test_a_refusal_is_told_to_who_asked_and_to_nobody_else(server: ValkeyServer) -> None:
    async with linked(server.url) as link:
        refused, answered = link.run("fail", ["key"], []), link.run("add", ["sum"], [2])
        with pytest.raises(Unreachable, match="WRONG"):
            await refused
        assert await answered == 2


async def test_where_nobody_listens_all_are_told_so(server: ValkeyServer) -> None:
    async with linked(f"redis://127.0.0.1:{free_port()}/0") as link:
        asked = [link.ask("PING") for _ in range(3)]
        told = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(one) for one in told] == [Unreachable] * 3


async def test_an_address_that_cannot_even_be_looked_up_leaves_nobody_waiting() -> None:
    async with linked(f"redis://{'a' * 70}.example:1/0") as link:
        async with asyncio.timeout(5):
            with pytest.raises(Unreachable):
                await link.ask("PING")


async def test_a_server_that_was_started_anew_is_found_and_knows_the_scripts(server: ValkeyServer) -> None:
    async with linked(server.url) as link:
        assert await link.run("add", ["sum"], [1]) == 1
        server.stop()
        await asyncio.sleep(0.05)
        with pytest.raises(Unreachable):
            await link.run("add", ["sum"], [1])
        server.start()
        assert await link.run("add", ["sum"], [1]) == 2


async def test_what_is_under_way_when_the_server_dies_is_not_waited_for(server: ValkeyServer) -> None:
    async with linked(server.url, timeout_seconds=30) as link:
        waits = link.ask("BLPOP", "nothing", 0)
        await asyncio.sleep(0.1)
        server.stop()
        async with asyncio.timeout(5):
            with pytest.raises(Unreachable):
                await waits


async def test_a_silent_server_is_given_up_in_time_and_used_again_later(server: ValkeyServer) -> None:
    async with linked(server.url, timeout_seconds=0.2) as link:
        await link.ask("PING")
        with server.frozen():
            for _ in range(2):
                async with asyncio.timeout(2):
                    with pytest.raises(Unreachable, match="Timeout"):
                        await link.ask("PING")
        assert await link.ask("PING") == b"PONG"


async def test_a_server_that_forgot_the_scripts_has_them_again_for_the_next(server: ValkeyServer) -> None:
    async with linked(server.url) as link:
        await link.run("add", ["sum"], [1])
        await link.ask("SCRIPT", "FLUSH")
        with pytest.raises(Unreachable, match="NOSCRIPT"):
            await link.run("add", ["sum"], [1])
        assert await link.run("add", ["sum"], [1]) == 2


async def test_the_address_names_password_and_database(server: ValkeyServer) -> None:
    admin: Redis = Redis.from_url(server.url)
    await admin.config_set("requirepass", "sesame")
    place = f"127.0.0.1:{server.port}"
    async with linked(f"redis://:sesame@{place}/3") as link, linked(f"redis://:wrong@{place}/3") as other:
        await link.ask("SET", "here", "yes")
        with pytest.raises(Unreachable, match="WRONGPASS"):
            await other.ask("GET", "here")
    three: Redis = Redis.from_url(f"redis://:sesame@{place}/3")
    assert await three.get("here") == b"yes"
    await three.aclose()
    await admin.aclose()


async def test_closing_waits_for_what_was_asked(server: ValkeyServer) -> None:
    async with linked(server.url) as link:
        asked = [link.run("add", ["sum"], [1]) for _ in range(100)]
    assert [one.result() for one in asked] == list(range(1, 101))
