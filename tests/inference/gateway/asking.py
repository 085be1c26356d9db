"""What tests of the cache do: ask so that an answer can be kept, wait until it is, look at what is kept."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.inference.gateway.fake_tgi import Script
from tests.inference.gateway.house import House, Tenant, ValkeyServer, opened

_OWN = re.compile(r'chatcmpl-[0-9a-f]{32}|"created":\d+')


IN_VALKEY_ONLY = {"cache_memory_bytes": 0}


@asynccontextmanager
async def caching(
    server: ValkeyServer, folder: Path, script: Script, **settings: Any
) -> AsyncIterator[House]:
    """A house whose tenant has a cache, and whose model gives this answer."""
    async with opened(server, folder, **settings) as house:
        await house.publisher.cache(house.tenant)
        house.tgi.script = script
        yield house


def outcome(answer: httpx.Response) -> str:
    """What the answer says of the cache."""
    assert answer.status_code == 200, answer.text
    return answer.headers["x-loomworks-cache"]


def without_own(answer: httpx.Response) -> str:
    """The body without what every answer has of its own: its id and time."""
    return _OWN.sub("", answer.text)


async def until(holds: Callable[[], Awaitable[Any]], *, within: float = 5.0) -> None:
    """Wait until it holds."""
    for _ in range(int(within / 0.01)):
        if await holds():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


async def kept(house: House, tenant: Tenant | None = None) -> list[bytes]:
    """The names of an organization's entries."""
    pattern = f"lw:cache:{{{(tenant or house.tenant).organization_id}}}:entry:*"
    return sorted([name async for name in house.valkey.scan_iter(match=pattern)])


async def ask(house: House, text: str = "Hi", *, url: str = "", **changes: Any) -> httpx.Response:
    """Ask deterministically; `headers`, `tenant` and anything of the body may be other."""
    tenant = changes.pop("tenant", None) or house.tenant
    headers = tenant.headers | changes.pop("headers", {})
    message = {"role": "user", "content": text}
    body = {"model": "support", "messages": [message], "temperature": 0} | changes
    return await house.client.post(f"{url}/v1/chat/completions", json=body, headers=headers)


async def ask_and_keep(house: House, text: str = "Hi", **changes: Any) -> httpx.Response:
    """Ask what was not asked before, and wait until the answer is kept."""
    tenant = changes.get("tenant") or house.tenant
    before = len(await kept(house, tenant))
    answer = await ask(house, text, **changes)
    assert outcome(answer) == "miss"

    async def one_more() -> bool:
        return len(await kept(house, tenant)) == before + 1

    await until(one_more)
    return answer
