"""Usage on its way to Valkey: batched, spooled when Valkey is away, never given up in silence.

A record may reach the stream twice (an answer lost after it was written, a spool drained twice): its request
id is unique, and whoever reads the stream keeps the first.
"""

import asyncio
import time
from collections import deque
from collections.abc import Coroutine
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from inference.gateway.link import Link, Unreachable
from inference.gateway.metering.spool import Spool, SpoolFull
from inference.gateway.metering.usage import UsageRecord
from inference.gateway.workers import end

STREAM = "lw:usage"
_BATCH = 500
_SAFE_SECONDS = 0.25
_REST_SECONDS = 1.0
_TRIM_SECONDS = 30.0
_SETTLE_SECONDS = 5.0
_MAX_WAITING = 20_000

log = structlog.get_logger("inference.gateway")


class Meter:
    """Takes usage records at any time and sees them to safety in the background."""

    def __init__(self, valkey: Redis, link: Link, spool: Spool) -> None:
        self._valkey, self._link, self._spool = valkey, link, spool
        # Sent and not yet answered.
        self._on_the_way: set[asyncio.Future[Any]] = set()
        # The futures of records, and until when they are waited for.
        self._awaited: deque[tuple[float, asyncio.Future[None]]] = deque()
        # What could not be sent at once.
        self._waiting: deque[tuple[bytes, asyncio.Future[None]]] = deque()
        self._arrived = asyncio.Event()
        self._spooling = asyncio.Lock()
        self._spool_full = False
        self._valkey_down_until = float("-inf")
        self._workers: list[asyncio.Task[None]] = []
        self._settling: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin writing, and drain what earlier outages left on disk."""
        self._workers = [
            asyncio.create_task(self._write_forever(), name="gateway-meter"),
            asyncio.create_task(self._tend_forever(), name="gateway-spool"),
        ]

    async def stop(self) -> None:
        """See what waits to safety, then end."""
        if self._settling:
            await asyncio.wait(self._settling, timeout=_SETTLE_SECONDS)
        if self._on_the_way:
            await asyncio.wait(self._on_the_way, timeout=_SETTLE_SECONDS)
        await end(self._workers)
        while self._waiting and await self._write_batch():
            pass
        if self._waiting:
            log.error("usage_lost", records=[record.decode() for record, _ in self._waiting])
        self._spool.close()

    @property
    def accepting(self) -> bool:
        """Whether usage can be recorded at all; if not, no tokens may be given out."""
        return not self._spool_full and len(self._waiting) + len(self._on_the_way) < _MAX_WAITING

    def record(self, usage: UsageRecord) -> asyncio.Future[None]:
        """Take a record. The future is done once it is in Valkey or on disk; after a moment in any case."""
        loop = asyncio.get_running_loop()
        safe: asyncio.Future[None] = loop.create_future()
        if not self._awaited:
            loop.call_later(_SAFE_SECONDS, self._let_go)
        self._awaited.append((loop.time() + _SAFE_SECONDS, safe))
        record = usage.encoded()
        if self._waiting or time.monotonic() < self._valkey_down_until:
            self._wait(record, safe)
        else:
            answer = self._add(record)
            self._on_the_way.add(answer)
            answer.add_done_callback(lambda answer: self._arrived_or_waits(answer, record, safe))
        return safe

    def _let_go(self) -> None:
        """Nobody waits longer: the record is kept all the same. One timer for all of them."""
        loop = asyncio.get_running_loop()
        while self._awaited and self._awaited[0][0] <= loop.time():
            _, safe = self._awaited.popleft()
            if not safe.done():
                safe.set_result(None)
        if self._awaited:
            loop.call_at(self._awaited[0][0], self._let_go)

    def _add(self, record: bytes) -> "asyncio.Future[Any]":
        return self._link.ask("XADD", STREAM, "*", "record", record)

    def _arrived_or_waits(
        self, answer: "asyncio.Future[Any]", record: bytes, safe: "asyncio.Future[None]"
    ) -> None:
        self._on_the_way.discard(answer)
        fault = answer.exception()
        if fault is not None:
            self._note_down(fault)
            self._wait(record, safe)
        elif not safe.done():
            safe.set_result(None)

    def _wait(self, record: bytes, safe: "asyncio.Future[None]") -> None:
        self._waiting.append((record, safe))
        self._arrived.set()

    def _note_down(self, fault: BaseException) -> None:
        """Said once for all the records that were on the way."""
        now = time.monotonic()
        if now >= self._valkey_down_until:
            log.warning("usage_stream_unreachable", error=str(fault))
        self._valkey_down_until = now + _REST_SECONDS

    def adopt(self, settling: Coroutine[Any, Any, None]) -> None:
        """Run what will end in a record, apart from the request that began it."""
        task = asyncio.create_task(settling, name="gateway-settling")
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _write_forever(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                if not await self._write_batch():
                    await asyncio.sleep(_REST_SECONDS)

    async def _write_batch(self) -> bool:
        batch = [self._waiting[place] for place in range(min(_BATCH, len(self._waiting)))]
        records = [record for record, _ in batch]
        if not (await self._to_valkey(records) or await self._to_disk(records)):
            return False
        self._spool_full = False
        for _, safe in batch:
            self._waiting.popleft()
            if not safe.done():
                safe.set_result(None)
        return True

    async def _to_valkey(self, records: list[bytes]) -> bool:
        if time.monotonic() < self._valkey_down_until:
            return False
        answers = [self._add(record) for record in records]
        try:
            for answer in answers:
                await answer
        except Unreachable as fault:
            self._note_down(fault)
            return False
        return True

    async def _to_disk(self, records: list[bytes]) -> bool:
        try:
            async with self._spooling:
                await asyncio.to_thread(self._spool.append, records)
        except (SpoolFull, OSError) as error:
            self._spool_full = True
            log.error("usage_spool_unusable", error=type(error).__name__, waiting=len(self._waiting))
            return False
        return True

    async def _tend_forever(self) -> None:
        next_trim = time.monotonic() + _TRIM_SECONDS
        while True:
            try:
                while time.monotonic() >= self._valkey_down_until and await self._drain_one():
                    pass
                if time.monotonic() >= next_trim:
                    next_trim = time.monotonic() + _TRIM_SECONDS
                    await self._trim()
            except ResponseError:
                pass  # there is no stream yet
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("usage_upkeep_failed", error=type(error).__name__)
            await asyncio.sleep(_REST_SECONDS)

    async def _drain_one(self) -> bool:
        """Send one spooled file. The file stays if anything of it could not be sent."""
        if not self._spool.size():
            return False
        async with self._spooling:
            self._spool.close()
        try:
            with self._spool.drained() as records:
                if records is None:
                    return False
                for start in range(0, len(records), _BATCH):
                    if not await self._to_valkey(records[start : start + _BATCH]):
                        raise ConnectionError
                log.info("usage_spool_drained", records=len(records))
        except ConnectionError:
            return False
        return True

    async def _trim(self) -> None:
        """Drop from the stream what every group of readers has acknowledged, and nothing else."""
        oldest: list[tuple[int, int]] = []
        for group in await self._valkey.xinfo_groups(STREAM):
            pending = await self._valkey.xpending(STREAM, group["name"])
            first: bytes = pending["min"] or group["last-delivered-id"]
            milliseconds, sequence = first.split(b"-")
            oldest.append((int(milliseconds), int(sequence)))
        if oldest:
            await self._valkey.xtrim(STREAM, minid="{}-{}".format(*min(oldest)), approximate=True)
