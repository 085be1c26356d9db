"""The cache of answers: between a request's call and the model server that would generate it.

It keeps what the server sent, token by token, so that a kept answer takes the same way to the caller as a
generated one, whole or streamed, on every surface. Whatever fails here, the request goes on without it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from inference.backends.interface import BackendStream, GenerationCall
from inference.gateway.cache.flights import Flight, Replay
from inference.gateway.cache.hot import Hot, Kept
from inference.gateway.cache.keyholder import Keyholder
from inference.gateway.cache.naming import Question, name_of
from inference.gateway.cache.recording import Recording, Unreadable, opened, sealed
from inference.gateway.cache.secret import CacheKeys
from inference.gateway.cache.sketch import Sketch
from inference.gateway.cache.store import Store
from inference.gateway.cache.wishes import way_of
from inference.gateway.contract import CacheWish, GatewayConfig
from inference.gateway.link import Link, Unreachable
from inference.gateway.metering.usage import CacheOutcome
from inference.gateway.snapshot import Snapshot

# What saves fewer tokens than this is generated again sooner than it is found.
MIN_TOKENS_SAVED = 4.0
MAX_ENTRY_BYTES = 256 * 1024
_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 0.25
_SETTLE_SECONDS = 5.0

Start = Callable[[GenerationCall], Awaitable[BackendStream]]

log = structlog.get_logger("inference.gateway")


@dataclass(frozen=True)
class Opened:
    """An answer that has begun, where it comes from, and how many seconds ago it was made."""

    stream: BackendStream
    outcome: CacheOutcome
    age_seconds: int = 0


@dataclass
class _Case:
    """One question of one organization; `outcome` is what its first caller is told."""

    organization_id: str
    question: Question
    name: bytes
    keys: CacheKeys
    outcome: CacheOutcome = "miss"
    has_right: bool = False
    used_bytes: int = 0


class AnswerCache:
    """Answers of one process's callers."""

    def __init__(self, config: GatewayConfig, *, link: Link, snapshot: Snapshot) -> None:
        self._lasts_seconds, self._wait_seconds = config.cache_seconds, config.cache_wait_seconds
        self._keyholder = Keyholder(snapshot, config.api_key_pepper)
        self._store = Store(link, organization_bytes=config.cache_organization_bytes)
        self._sketch = Sketch()
        self._hot = Hot(max_bytes=config.cache_memory_bytes, sketch=self._sketch)
        self._flights: dict[bytes, Flight] = {}
        self._keeping: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        """Keep what waits to be kept."""
        if self._keeping:
            await asyncio.wait(self._keeping, timeout=_SETTLE_SECONDS)

    async def open(self, organization_id: str, question: Question, wish: CacheWish, start: Start) -> Opened:
        """The kept answer, or one that is generated for another caller now, or one that `start` begins.

        Raises what `start` raises.
        """
        way = way_of(wish, question.call)
        keys = None
        if way.keeps and question.deployment.caches:
            keys = await self._keyholder.keys(organization_id)
        if keys is None:
            return Opened(await start(question.call), "off")
        case = _Case(organization_id, question, name_of(question, keys.lookup), keys)
        self._sketch.note(case.name)
        if way.reads and (here := await self._from_here(case)) is not None:
            return here
        flight = Flight(partial(self._begin, case, start, reads=way.reads), partial(self._land, case))
        self._flights[case.name] = flight
        stream = await flight.join()
        if flight.recording is not None:
            return Opened(stream, "hit", _age(flight.recording))
        return Opened(stream, case.outcome)

    async def _from_here(self, case: _Case) -> Opened | None:
        """What this process has or is making."""
        flight = self._flights.get(case.name)
        if flight is not None:
            stream = await flight.join()
            return Opened(stream, "hit", _age(flight.recording) if flight.recording is not None else 0)
        entry = self._hot.get(case.organization_id, case.name, now=time.time())
        recording = self._read(case, entry) if entry is not None else None
        return Opened(Replay(recording), "hit", _age(recording)) if recording is not None else None

    async def _begin(self, case: _Case, start: Start, *, reads: bool) -> BackendStream | Recording:
        found = await self._from_valkey(case) if reads else None
        return await start(case.question.call) if found is None else found

    async def _from_valkey(self, case: _Case) -> Recording | None:
        """The kept answer. While another process makes it, wait a little for that, then go alone."""
        until, pause = time.monotonic() + self._wait_seconds, _FIRST_PAUSE_SECONDS
        while True:
            try:
                found = await self._store.look(
                    case.organization_id, case.name, right_seconds=self._wait_seconds
                )
            except Unreachable:
                case.outcome = "off"
                return None
            if found.entry is not None:
                return self._warmed(case, found.entry)
            case.has_right, case.used_bytes = found.has_right, found.used_bytes
            if found.has_right or time.monotonic() >= until:
                return None
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def _warmed(self, case: _Case, entry: bytes) -> Recording | None:
        recording = self._read(case, entry)
        if recording is not None:
            self._heat(case, recording, entry)
        return recording

    def _read(self, case: _Case, entry: bytes) -> Recording | None:
        try:
            return opened(entry, case.keys, case.name)
        except Unreadable as fault:
            self._hot.drop(case.organization_id, case.name)
            log.warning("cache_entry_unreadable", organization_id=case.organization_id, fault=str(fault))
            return None

    def _heat(self, case: _Case, recording: Recording, entry: bytes) -> None:
        kept = Kept(entry, recording.made_at + self._lasts_seconds, recording.tokens_saved)
        self._hot.put(case.organization_id, case.name, kept)

    def _land(self, case: _Case, flight: Flight) -> None:
        """Keep what was generated to its end, and nothing else."""
        if self._flights.get(case.name) is flight:
            del self._flights[case.name]
        made = None
        if flight.recording is None and flight.end is not None:
            made = Recording(tuple(flight.pieces), flight.end, int(time.time()))
        if made is not None and self._is_worth_keeping(case, made):
            self._adopt(self._keep(case, made))
        elif case.has_right:
            self._adopt(self._release(case))

    def _is_worth_keeping(self, case: _Case, made: Recording) -> bool:
        if made.tokens_saved < MIN_TOKENS_SAVED:
            return False
        # Where entries have to go for it, only what was asked more than once.
        return not self._store.is_nearly_full(case.used_bytes) or self._sketch.estimate(case.name) > 1

    async def _keep(self, case: _Case, made: Recording) -> None:
        entry = sealed(made, case.keys, case.name)
        if len(entry) > MAX_ENTRY_BYTES:
            await self._release(case)
            return
        self._heat(case, made, entry)
        try:
            await self._store.keep(case.organization_id, case.name, entry, seconds=self._lasts_seconds)
        except Unreachable:
            log.info("cache_entry_not_kept", organization_id=case.organization_id)

    async def _release(self, case: _Case) -> None:
        try:
            await self._store.release(case.organization_id, case.name)
        except Unreachable:
            # It ends by itself.
            log.info("cache_right_not_released", organization_id=case.organization_id)

    def _adopt(self, keeping: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(keeping, name="gateway-cache-keep")
        self._keeping.add(task)
        task.add_done_callback(self._keeping.discard)


def _age(recording: Recording) -> int:
    return max(0, int(time.time()) - recording.made_at)
