"""Whether the gateway's memory stays what it is under hours of everything at once.

Whole answers and streams, kept and generated ones, callers who leave, requests that are refused and keys that
nobody made, at a steady pace. `python -m tests.benchmarks.soak`; minutes by SOAK_MINUTES, half an hour
unless told. A sixth of that is warm-up: by then every bounded memory of the gateway is full.
"""

import asyncio
import os
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import orjson
from redis.asyncio import Redis

from inference.backends.http11 import Pool
from tests.benchmarks.data_plane.model import MODEL
from tests.benchmarks.data_plane.peers import GatewayWay, Ways
from tests.benchmarks.figures import Figure, at_most, at_most_of, keep

MINUTES = 30.0
FEWEST_MINUTES = 5.0
WARM_UP_SHARE = 1 / 6
AT_ONCE = 16
QUESTIONS = 400
MADE_UP_KEYS = 12_000
SAMPLE_SECONDS = 5.0
GOAL_GROWTH = 1.05
GENERATED = ("/v1/chat/completions", "/v1/responses", "/v1/completions", f"/tgi/{MODEL}/generate")


@dataclass
class Traffic:
    """What is sent, until `until` by the clock. `sent` and `failed` count requests."""

    way: GatewayWay
    through: Pool
    until: float
    dice: random.Random = field(default_factory=lambda: random.Random(7))
    sent: int = 0
    failed: int = 0

    async def run(self) -> None:
        await asyncio.gather(*(self._keep_asking() for _ in range(AT_ONCE)))

    async def made_up_keys(self) -> None:
        """As many as fill the memory for keys that do not exist."""
        for _ in range(MADE_UP_KEYS):
            await self._with_made_up_key()

    async def _keep_asking(self) -> None:
        while time.monotonic() < self.until:
            kind = self.dice.random()
            self.sent += 1
            if kind < 0.05:
                await self._expect({400}, "/v1/chat/completions", {"model": MODEL, "messages": "none"})
            elif kind < 0.1:
                await self._expect({404}, "/v1/chat/completions", self._chat() | {"model": "nobody's"})
            elif kind < 0.3:
                await self._leave()
            else:
                await self._expect({200}, *self._question())

    def _text(self) -> str:
        return f"{self.dice.randrange(QUESTIONS)} " * 200

    def _chat(self) -> dict[str, object]:
        message = {"role": "user", "content": self._text()}
        return {
            "model": MODEL,
            "messages": [message],
            "stream": self.dice.random() < 0.5,
            # Half of them can be kept.
            "temperature": self.dice.choice((0, 1)),
        }

    def _question(self) -> tuple[str, dict[str, object]]:
        path, text = self.dice.choice(GENERATED), self._text()
        if path == "/v1/responses":
            return path, {"model": MODEL, "input": text}
        if path == "/v1/completions":
            return path, {"model": MODEL, "prompt": text, "n": 2}
        if path.startswith("/tgi"):
            return path, {"inputs": text}
        return path, self._chat()

    async def _expect(self, statuses: set[int], path: str, body: dict[str, object]) -> None:
        connection = await self.through.post(path, orjson.dumps(body), timeout_seconds=30)
        self.failed += connection.status not in statuses
        while await connection.read(30):
            pass
        connection.release()

    async def _leave(self) -> None:
        """Read a little of a stream, then hang up."""
        body = orjson.dumps(self._chat() | {"stream": True, "temperature": 1})
        connection = await self.through.post("/v1/chat/completions", body, timeout_seconds=30)
        await connection.read(30)
        connection.abort()

    async def _with_made_up_key(self) -> None:
        nobody = Pool(self.way.url, bearer=f"lw_{uuid4().hex}{uuid4().hex}", connect_seconds=5)
        connection = await nobody.post("/v1/chat/completions", b"{}", timeout_seconds=30)
        self.failed += connection.status != 401
        await connection.whole(30)
        await nobody.aclose()


async def watched(way: GatewayWay, until: float) -> list[float]:
    """The gateway's memory every five seconds. Usage that nobody reads is thrown away, for Valkey's sake."""
    samples, valkey = [], Redis.from_url(way.valkey_url)
    while time.monotonic() < until:
        await asyncio.sleep(SAMPLE_SECONDS)
        await valkey.xtrim("lw:usage", maxlen=1000)
        samples.append(way.memory_mib())
    await valkey.aclose()
    return samples


async def soaked(minutes: float) -> list[Figure]:
    """Memory after the warm-up and at the end, the peak between, and what was sent meanwhile."""
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        start = Ways(stack, Path(folder))
        way = await start.gateway(start.slow_model(chunks=16, seconds=0.001))
        through = Pool(way.url, bearer=way.key, connect_seconds=5)
        began = time.monotonic()
        traffic = Traffic(way, through, began + minutes * 60)
        warm_at = began + minutes * 60 * WARM_UP_SHARE
        running = asyncio.create_task(traffic.run())
        await traffic.made_up_keys()
        await watched(way, warm_at)
        warm = way.memory_mib()
        samples = await watched(way, traffic.until)
        await running
        await through.aclose()
        end = sum(samples[-6:]) / len(samples[-6:])
        return [
            at_most_of(
                f"gateway memory after {minutes:g} minutes",
                end,
                "MiB",
                peer="after the warm-up",
                peer_value=warm,
                share=GOAL_GROWTH,
            ),
            Figure("gateway memory, highest after the warm-up", max(samples), "MiB"),
            Figure("requests of the soak", float(traffic.sent), "requests"),
            at_most("requests answered otherwise than they should", traffic.failed, "requests", 0),
        ]


def main() -> list[Figure]:
    """Soak, keep and return the figures."""
    minutes = float(os.environ.get("SOAK_MINUTES") or MINUTES)
    if minutes < FEWEST_MINUTES:
        sys.exit(f"SOAK_MINUTES must be at least {FEWEST_MINUTES:g}: the memories are filled first.")
    found = asyncio.run(soaked(minutes))
    keep("soak", found)
    return found


if __name__ == "__main__":
    main()
