"""The serving snapshot in memory: filled from Valkey, invalidated by pub/sub, revalidated by age.

An entry is known to be true as of the last word from Valkey while the subscription was unbroken, since any
change would have been told. That moment, not the moment of reading, is what the time of grace counts from.
"""

import asyncio
import contextlib
import time
from dataclasses import dataclass

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from inference.gateway.admission.bounds import LimitsEntry, PricesEntry
from inference.gateway.entries import (
    CACHE_PREFIX,
    CHANGED,
    KEY_PREFIX,
    LIMITS_PREFIX,
    PRICES,
    PROJECT_PREFIX,
    READY,
    CacheEntry,
    Entry,
    KeyEntry,
    ProjectEntry,
    UnreadableEntry,
    read_entry,
)
from inference.gateway.faults import SnapshotUnavailable
from inference.gateway.policy.sealed import policy_key
from inference.gateway.workers import end

_PING_SECONDS = 0.5
_SILENCE_SECONDS = 2.0
_REST_SECONDS = 0.5
_MAX_ENTRIES = 200_000
# Anyone can make up keys: they must not push out what is known.
_MAX_UNKNOWN_KEYS = 10_000

log = structlog.get_logger("inference.gateway")


@dataclass(slots=True)
class _Held:
    entry: Entry | None
    fetched_at: float
    epoch: int


class Snapshot:
    """Reads the snapshot. One per process; `start` and `stop` run its subscription."""

    def __init__(
        self, valkey: Redis, *, pepper: bytes, max_age_seconds: float, outage_seconds: float
    ) -> None:
        self._valkey, self._policies = valkey, policy_key(pepper)
        self._max_age, self._outage = max_age_seconds, outage_seconds
        self._held: dict[str, _Held] = {}
        self._unknown_keys: dict[str, None] = {}
        self._fetching: dict[str, asyncio.Task[Entry | None]] = {}
        self._dirty: set[str] = set()
        self._epoch = 0
        self._contact = float("-inf")
        self._resting_until = float("-inf")
        self._listener: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Subscribe to changes. Valkey need not be up yet."""
        self._listener = asyncio.create_task(self._listen(), name="gateway-snapshot")

    async def stop(self) -> None:
        """End the subscription and the reads under way."""
        await end([*self._fetching.values(), self._listener])

    async def key(self, digest: str) -> KeyEntry | None:
        """The API key whose secret has this HMAC (hex). Raises `SnapshotUnavailable`."""
        entry = await self._get(KEY_PREFIX + digest)
        return entry if isinstance(entry, KeyEntry) else None

    async def project(self, project_id: str) -> ProjectEntry | None:
        """A project's deployments, None if nothing was ever deployed. Raises `SnapshotUnavailable`."""
        entry = await self._get(PROJECT_PREFIX + project_id)
        return entry if isinstance(entry, ProjectEntry) else None

    async def limits(self, organization_id: str) -> LimitsEntry | None:
        """An organization's limits, None if it has none. Raises `SnapshotUnavailable`."""
        entry = await self._get(LIMITS_PREFIX + organization_id)
        return entry if isinstance(entry, LimitsEntry) else None

    async def prices(self) -> PricesEntry | None:
        """What models cost, None if nothing does. Raises `SnapshotUnavailable`."""
        entry = await self._get(PRICES)
        return entry if isinstance(entry, PricesEntry) else None

    async def cache(self, organization_id: str) -> CacheEntry | None:
        """An organization's cache secret, None if it has none. Raises `SnapshotUnavailable`."""
        entry = await self._get(CACHE_PREFIX + organization_id)
        return entry if isinstance(entry, CacheEntry) else None

    @property
    def listening(self) -> bool:
        """Whether changes reach this process now."""
        return time.monotonic() - self._contact < _SILENCE_SECONDS

    async def _get(self, name: str) -> Entry | None:
        held = self._held.get(name)
        if held is not None and held.epoch == self._epoch:
            now = time.monotonic()
            if now - held.fetched_at < self._max_age and now - self._contact < _SILENCE_SECONDS:
                return held.entry
        if time.monotonic() < self._resting_until:
            return self._remembered(name)
        task = self._fetching.get(name)
        if task is None:
            task = self._fetching[name] = asyncio.create_task(self._fetch(name))
            task.add_done_callback(lambda done: self._fetched(name, done))
        return await asyncio.shield(task)

    def _fetched(self, name: str, task: asyncio.Task[Entry | None]) -> None:
        self._fetching.pop(name, None)
        if not task.cancelled():
            task.exception()  # seen here, since everyone who waited for it may have left

    async def _fetch(self, name: str) -> Entry | None:
        try:
            while True:
                self._dirty.discard(name)
                epoch = self._epoch
                value, ready = await self._valkey.mget(name, READY)
                if name not in self._dirty:
                    break
        except (RedisError, OSError, TimeoutError) as error:
            # Valkey is away: do not make every request wait for it.
            self._resting_until = time.monotonic() + _REST_SECONDS
            log.warning("snapshot_unreachable", error=type(error).__name__)
            return self._remembered(name)
        if value is None and ready is None:
            log.warning("snapshot_not_published")
            return self._remembered(name)
        return self._hold(name, value, epoch)

    def _hold(self, name: str, value: bytes | str | None, epoch: int) -> Entry | None:
        try:
            entry = None if value is None else read_entry(name, value, self._policies)
        except UnreadableEntry as error:
            log.error("snapshot_unreadable", entry=str(error))
            raise SnapshotUnavailable(
                "The serving configuration cannot be read.", retry_after_seconds=5
            ) from error
        self._drop(name)
        if entry is None and name.startswith(KEY_PREFIX):
            if len(self._unknown_keys) >= _MAX_UNKNOWN_KEYS:
                self._drop(next(iter(self._unknown_keys)))
            self._unknown_keys[name] = None
        if len(self._held) >= _MAX_ENTRIES:
            self._drop(next(iter(self._held)))
        self._held[name] = _Held(entry, time.monotonic(), epoch)
        return entry

    def _drop(self, name: str) -> None:
        self._held.pop(name, None)
        self._unknown_keys.pop(name, None)

    def _remembered(self, name: str) -> Entry | None:
        held = self._held.get(name)
        if held is not None:
            known_at = max(held.fetched_at, self._contact) if held.epoch == self._epoch else held.fetched_at
            if time.monotonic() - known_at <= self._outage:
                return held.entry
        raise SnapshotUnavailable(
            "The serving configuration is not available at the moment. Please retry shortly.",
            retry_after_seconds=5,
        )

    async def _listen(self) -> None:
        while True:
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                async with self._valkey.pubsub() as channel:
                    await channel.subscribe(CHANGED)
                    await self._follow(channel)
            log.warning("snapshot_subscription_lost")
            await asyncio.sleep(_PING_SECONDS)

    async def _follow(self, channel: PubSub) -> None:
        """Apply changes until the subscription breaks."""
        heard_at = time.monotonic()
        while time.monotonic() - heard_at < _SILENCE_SECONDS:
            message = await channel.get_message(timeout=_PING_SECONDS)
            if message is None:
                await channel.ping()
                continue
            heard_at = time.monotonic()
            if message["type"] == "subscribe":
                # What changed while nobody listened is unknown: everything older must be asked for again.
                self._epoch += 1
            elif message["type"] == "message":
                self._forget(message["data"].decode())
            if self._epoch:
                self._contact = heard_at

    def _forget(self, name: str) -> None:
        self._drop(name)
        if name in self._fetching:
            self._dirty.add(name)
