"""What the gateway costs: CPU time per request and per chunk, and latency added to a scripted model server.

CPU time is read from /proc, so that a busy machine does not blur it. `python -m tests.benchmarks.gateway`.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from redis.asyncio import Redis

from inference.backends.http11 import Pool
from tests.benchmarks.figures import Figure, against, at_most, keep
from tests.inference.gateway.house import PEPPER, Publisher, Tenant, ValkeyServer, deployment, free_port

GOAL_CPU_US = 310.0
ROUNDS = 5
_FAKE = """
import asyncio, uvloop
from tests.inference.gateway.fake_tgi import FakeTgi, Script
async def main():
    async with FakeTgi() as tgi:
        tgi.script = Script(tokens=["tok "] * {tokens})
        await asyncio.Event().wait()
uvloop.run(main())
"""


@dataclass(frozen=True)
class Load:
    """So many requests, so many at a time."""

    requests: int
    concurrency: int
    stream: bool


@dataclass(frozen=True)
class Measured:
    """Microseconds of CPU per request, milliseconds at the median, requests per second."""

    cpu_us: float
    p50_ms: float
    rate: float


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads, by the scheduler's own nanoseconds: ticks are too coarse for short bursts."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


async def drive(pool: Pool, path: str, body: bytes, load: Load, pid: int) -> Measured:
    """Send the load; every answer is read whole and must be a 200."""
    times: list[float] = []
    left = iter(range(load.requests))

    async def worker() -> None:
        for _ in left:
            began = time.perf_counter()
            connection = await pool.post(path, body, timeout_seconds=30)
            assert connection.status == 200, connection.status
            while await connection.read(30):
                pass
            connection.release()
            times.append(time.perf_counter() - began)

    cpu, began = cpu_seconds(pid), time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(load.concurrency)))
    seconds, cpu = time.perf_counter() - began, cpu_seconds(pid) - cpu
    return Measured(cpu / load.requests * 1e6, statistics.median(times) * 1e3, load.requests / seconds)


def spawn(stack: ExitStack, *arguments: str, **environment: str) -> int:
    process = subprocess.Popen(
        [sys.executable, *arguments], env=os.environ | environment, stdout=subprocess.DEVNULL
    )
    stack.callback(process.wait)
    stack.callback(process.terminate)
    return process.pid


async def until_up(pool: Pool, path: str) -> None:
    for _ in range(400):
        try:
            connection = await pool.post(path, b"{}", timeout_seconds=1)
        except Exception:
            await asyncio.sleep(0.05)
        else:
            connection.abort()
            return
    raise TimeoutError(path)


@dataclass(frozen=True)
class Bench:
    """A gateway of its own process before a scripted model server, and a tenant with the model `support`."""

    url: str
    valkey: Redis
    publisher: Publisher
    tenant: Tenant
    gateway: int
    fake: int
    through: Pool
    direct: Pool


@asynccontextmanager
async def bench(stack: ExitStack, folder: Path, *, tokens: int) -> AsyncIterator[Bench]:
    """Everything started and ready. Process ids are of the gateway and of the model server."""
    server = ValkeyServer(folder)
    server.start()
    stack.callback(server.stop)
    fake_port, port, tenant = free_port(), free_port(), Tenant.new()
    fake = spawn(stack, "-c", _FAKE.format(tokens=tokens), FAKE_PORT=str(fake_port))
    valkey: Redis = Redis.from_url(server.url)
    publisher = Publisher(valkey)
    await publisher.key(tenant)
    await publisher.project(tenant, deployment(f"http://127.0.0.1:{fake_port}"))
    await publisher.ready()
    gateway = spawn(
        stack,
        *("-m", "inference.gateway", "--port", str(port)),
        VALKEY_URL=server.url,
        API_KEY_PEPPER=PEPPER.hex(),
        POD_KEY="pod",
        SPOOL_DIR=str(folder / "spool"),
    )
    url = f"http://127.0.0.1:{port}"
    through = Pool(url, bearer=tenant.secret, connect_seconds=5)
    direct = Pool(f"http://127.0.0.1:{fake_port}", bearer="pod", connect_seconds=5)
    await until_up(direct, "/tokenize")
    await until_up(through, "/readyz")
    yield Bench(url, valkey, publisher, tenant, gateway, fake, through, direct)
    await valkey.aclose()
    await through.aclose()
    await direct.aclose()


async def measure(
    stack: ExitStack, folder: Path, *, tokens: int, loads: dict[str, Load]
) -> dict[str, Measured]:
    """The median round of each load, through the gateway and directly."""
    async with bench(stack, folder, tokens=tokens) as started:
        return await _rounds(started, loads)


async def _rounds(started: Bench, loads: dict[str, Load]) -> dict[str, Measured]:
    through, direct = started.through, started.direct
    results: dict[str, list[Measured]] = {}
    sent = 0
    for _ in range(ROUNDS):
        for name, load in loads.items():
            chat: dict[str, Any] = {
                "model": "support",
                "messages": [{"role": "user", "content": "Hello there"}],
            }
            own = orjson.dumps(chat | {"stream": load.stream})
            results.setdefault(name, []).append(
                await drive(through, "/v1/chat/completions", own, load, started.gateway)
            )
            sent += load.requests
            native = orjson.dumps({"inputs": "Hello there", "parameters": {"max_new_tokens": 256}})
            results.setdefault(f"direct {name}", []).append(
                await drive(direct, "/generate_stream", native, load, started.fake)
            )
    await asyncio.sleep(1)
    recorded = await started.valkey.xlen("lw:usage")
    assert recorded == sent, f"{recorded} usage records for {sent} requests"
    return {name: sorted(rounds, key=lambda one: one.cpu_us)[ROUNDS // 2] for name, rounds in results.items()}


def beside(name: str, value: float, unit: str, direct: float) -> Figure:
    """A figure beside what the same client measured without the gateway."""
    return against(name, value, unit, peer="direct", peer_value=direct)


async def figures() -> list[Figure]:
    """Whole answers of a few tokens and long streams, one at a time and many at once."""
    short = {"whole c=1": Load(1000, 1, False), "whole c=32": Load(3000, 32, False)}
    long = {"stream c=1": Load(150, 1, True), "stream c=32": Load(300, 32, True)}
    found: list[Figure] = []
    for tokens, loads in ((4, short), (64, long)):
        with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
            results = await measure(stack, Path(folder), tokens=tokens, loads=loads)
        for name in loads:
            one, direct = results[name], results[f"direct {name}"]
            if tokens == 64:
                found.append(Figure(f"gateway cpu per chunk, {name}", one.cpu_us / 66, "us"))
            else:
                found.append(at_most(f"gateway cpu per request, {name}", one.cpu_us, "us", GOAL_CPU_US))
            found.append(beside(f"rate, {name}", one.rate, "1/s", direct.rate))
            found.append(beside(f"p50, {name}", one.p50_ms, "ms", direct.p50_ms))
    return found


def main() -> list[Figure]:
    """Measure, keep and return the figures."""
    found = asyncio.run(figures())
    keep("gateway", found)
    return found


if __name__ == "__main__":
    main()
