"""Load shared between gateway processes, through Valkey: each tells what it has outstanding on each replica.

A process is believed as long as its word keeps changing: every word carries a number, and one that stays the
same for two seconds is that of a process that is gone. So no clocks are compared.
"""

import asyncio
import contextlib
import time
from dataclasses import dataclass
from uuid import uuid4

import orjson
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from inference.gateway.routing.router import Router
from inference.gateway.workers import end

LOADS = "lw:routing:loads"
_LASTING_SECONDS = 2.0
_REST_SECONDS = 1.0
_EXPIRES_SECONDS = 60

log = structlog.get_logger("inference.gateway")


@dataclass(slots=True)
class _Heard:
    number: int
    at: float
    loads: dict[str, int]


class SharedLoad:
    """Publishes this process's outstanding tokens and tells the router the others'."""

    def __init__(self, valkey: Redis, router: Router, *, every_seconds: float) -> None:
        self._valkey, self._router, self._every = valkey, router, every_seconds
        self._name = uuid4().hex
        self._number = 0
        self._heard: dict[str, _Heard] = {}
        self._worker: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to tell and to listen."""
        self._worker = asyncio.create_task(self._share_forever(), name="gateway-shared-load")

    async def stop(self) -> None:
        """End, and take back what was told."""
        if self._worker is None:
            return
        await end([self._worker])
        if self._number:
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await self._valkey.hdel(LOADS, self._name)

    async def _share_forever(self) -> None:
        while True:
            rest = self._every
            # With one replica everywhere there is nothing to choose, so nothing to tell.
            if self._router.has_choices:
                try:
                    await self._share()
                except (RedisError, OSError, TimeoutError) as error:
                    rest = max(rest, _REST_SECONDS)
                    log.warning("shared_load_unreachable", error=type(error).__name__)
            self._tell_router()
            await asyncio.sleep(rest)

    async def _share(self) -> None:
        self._number += 1
        own = {one.shared_name: one.outstanding for one in self._router.replicas if one.outstanding}
        pipeline = self._valkey.pipeline(transaction=False)
        pipeline.hset(LOADS, self._name, orjson.dumps([self._number, own]))
        pipeline.expire(LOADS, _EXPIRES_SECONDS)
        pipeline.hgetall(LOADS)
        answers = await pipeline.execute()
        gone = self._listen(answers[2])
        if gone:
            await self._valkey.hdel(LOADS, *gone)

    def _listen(self, told: dict[bytes, bytes]) -> list[str]:
        """Take in what the others told; returns those that have been silent for long."""
        now = time.monotonic()
        gone = []
        for field, word in told.items():
            name = field.decode()
            if name == self._name:
                continue
            try:
                number, loads = orjson.loads(word)
                loads = {str(key): max(0, int(tokens)) for key, tokens in loads.items()}
            except (ValueError, TypeError, AttributeError):
                gone.append(name)
                continue
            heard = self._heard.get(name)
            if heard is None or heard.number != number:
                self._heard[name] = _Heard(number, now, loads)
            elif now - heard.at > _EXPIRES_SECONDS:
                gone.append(name)
        return gone

    def _tell_router(self) -> None:
        """The others' sum. Those that fell silent, and all of them while Valkey is away, count no longer."""
        now = time.monotonic()
        sums: dict[str, int] = {}
        for name, heard in list(self._heard.items()):
            if now - heard.at > _EXPIRES_SECONDS * 2:
                del self._heard[name]
            elif now - heard.at <= _LASTING_SECONDS:
                for key, tokens in heard.loads.items():
                    sums[key] = sums.get(key, 0) + tokens
        self._router.told_elsewhere(sums)
