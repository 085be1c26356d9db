"""Callers who mean harm: half requests, endless ones, smuggled ones, and floods of keys that nobody made."""

import asyncio
import contextlib
import subprocess
import sys
from collections import Counter
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from kernel.connections import MAX_HEAD_BYTES, BoundedHeads
from tests.inference.gateway.house import House

# They start processes of their own.
pytestmark = pytest.mark.services

AT_ONCE = 50


@contextlib.asynccontextmanager
async def connected(house: House) -> Any:
    """A raw connection to the gateway."""
    parts = urlsplit(house.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_a_head_that_never_ends_is_given_up(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedHeads, "head_seconds", 0.3)
    async with connected(house) as (reader, writer):
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n")

        async def trickle() -> None:
            for number in range(1000):
                writer.write(b"X-Loris-%d: 1\r\n" % number)
                await asyncio.sleep(0.05)

        trickling = asyncio.create_task(trickle())
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        trickling.cancel()
    assert (await house.chat()).status_code == 200


async def test_a_second_request_that_never_ends_is_given_up_too(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedHeads, "head_seconds", 0.3)
    async with connected(house) as (reader, writer):
        writer.write(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/models HTTP/1.1\r\nHost: ")
        async with asyncio.timeout(5):
            assert (await reader.read()).count(b"HTTP/1.1 401") == 1


async def test_a_head_larger_than_any_that_is_meant_is_refused(house: House) -> None:
    async with connected(house) as (reader, writer):
        writer.write(b"GET /v1/models HTTP/1.1\r\nX-Large: ")
        with contextlib.suppress(OSError):
            for _ in range(2 * MAX_HEAD_BYTES // 4096):
                writer.write(b"a" * 4096)
                await writer.drain()
                await asyncio.sleep(0)
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionResetError):
                assert (await reader.read()).startswith(b"HTTP/1.1 400")
    assert (await house.chat()).status_code == 200


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: -1\r\n",
        b"X-Bad: a\x00b\r\n",
        b"X Bad: a\r\n",
    ],
)
async def test_a_head_that_can_be_read_in_two_ways_is_refused(house: House, head: bytes) -> None:
    async with connected(house) as (reader, writer):
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n0\r\n\r\n")
        async with asyncio.timeout(5):
            answer = await reader.read(4096)
        assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 401"))
        assert answer.count(b"HTTP/1.1") == 1
    assert house.tgi.seen == []


@pytest.mark.parametrize("place", ["/v1/models/a%0d%0aInjected:%201", "/tgi/a%0d%0aInjected:%201/info"])
async def test_no_part_of_an_address_begins_a_header(house: House, place: str) -> None:
    answer = await house.client.get(place, headers=house.tenant.headers)
    assert answer.status_code == 404
    assert "injected" not in answer.headers


@pytest.mark.parametrize("keys", [500, pytest.param(10_000, marks=pytest.mark.slow)])
async def test_a_flood_of_made_up_keys_is_refused_while_others_are_served(house: House, keys: int) -> None:
    seen: Counter[int] = Counter()

    async def knock(count: int) -> None:
        for _ in range(count):
            headers = {"authorization": f"Bearer lw_{uuid4().hex}"}
            seen[(await house.client.post("/v1/chat/completions", json={}, headers=headers)).status_code] += 1

    flood = [asyncio.create_task(knock(keys // AT_ONCE)) for _ in range(AT_ONCE)]
    served = Counter([(await house.chat()).status_code for _ in range(10)])
    await asyncio.gather(*flood)
    assert (seen, served) == (Counter({401: keys}), Counter({200: 10}))


def test_a_gateway_has_no_way_to_the_database() -> None:
    program = "import sys, inference.gateway.__main__; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"django", "psycopg"} & set(done.stdout.split())
