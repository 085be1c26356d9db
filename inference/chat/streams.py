"""The text of an answer under way, in Valkey: written by one process, read by any, from any token on.

An entry's id is the token's number, `<seq>-0`, so that reading after a number is exact. A first entry
`0-1` makes the stream; one without text ends it. Two keys stand beside it: `:alive`, which the writing
process renews, and `:stop`, which anybody may set.
"""

import asyncio
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast
from uuid import UUID
from weakref import WeakKeyDictionary

import redis
from django.conf import settings
from redis.asyncio import Redis

ALIVE_SECONDS = 15
KEEP_SECONDS = 3600
KEEP_ENDED_SECONDS = 600
MAX_ENTRIES = 20_000
BLOCK_MILLISECONDS = 2_000
TIMEOUT_SECONDS = 5.0
TEXT = b"text"

_clients: "WeakKeyDictionary[asyncio.AbstractEventLoop, Redis]" = WeakKeyDictionary()


class StreamLost(Exception):
    """The stream is no longer there: Valkey was wiped, and followers would see a gap."""


@dataclass(frozen=True)
class Piece:
    """The text of token `seq`; None ends the answer."""

    seq: int
    text: str | None


def stream_key(message_id: UUID) -> str:
    """The stream of one answer."""
    return f"lw:chat:{message_id}"


def open_stream(message_id: UUID) -> None:
    """Make the stream, its writer counting as alive from now on. Raises `redis.RedisError`."""
    key = stream_key(message_id)
    pipeline = blocking_valkey().pipeline(transaction=True)
    pipeline.set(f"{key}:alive", "1", ex=ALIVE_SECONDS)
    pipeline.xadd(key, {"start": "1"}, id="0-1")
    pipeline.expire(key, KEEP_SECONDS)
    pipeline.execute()


def is_alive(message_id: UUID) -> bool:
    """Whether some process is writing the answer now. Raises `redis.RedisError`."""
    return bool(blocking_valkey().exists(f"{stream_key(message_id)}:alive"))


def ask_to_stop(message_id: UUID) -> None:
    """Ask whichever process writes the answer to stop. Raises `redis.RedisError`."""
    blocking_valkey().set(f"{stream_key(message_id)}:stop", "1", ex=KEEP_SECONDS)


def drop_stream(message_id: UUID) -> None:
    """Forget what was streamed; whoever still writes finds the stream lost. Raises `redis.RedisError`."""
    key = stream_key(message_id)
    blocking_valkey().delete(key, f"{key}:alive")


def text_so_far(message_id: UUID) -> str:
    """What the stream holds of the answer. Raises `redis.RedisError`."""
    entries = cast(list[Any], blocking_valkey().xrange(stream_key(message_id)))
    return "".join(fields[TEXT].decode() for _, fields in entries if TEXT in fields)


class AnswerStream:
    """One answer's stream as asynchronous code writes and reads it. All methods raise `redis.RedisError`."""

    def __init__(self, message_id: UUID) -> None:
        self._key = stream_key(message_id)
        self._valkey = _client()

    async def append(self, seq: int, text: str) -> None:
        """Add one token's text. Raises `StreamLost`."""
        await self._add(seq, {"text": text})

    async def end(self, seq: int) -> None:
        """Say that nothing follows; the text stays readable for some minutes. Raises `StreamLost`."""
        await self._add(seq, {"end": "1"})
        pipeline = self._valkey.pipeline(transaction=True)
        pipeline.expire(self._key, KEEP_ENDED_SECONDS)
        pipeline.delete(f"{self._key}:alive", f"{self._key}:stop")
        await pipeline.execute()

    async def beat(self) -> bool:
        """Renew the sign of life; answers whether somebody asked to stop."""
        pipeline = self._valkey.pipeline(transaction=False)
        pipeline.set(f"{self._key}:alive", "1", ex=ALIVE_SECONDS)
        pipeline.expire(self._key, KEEP_SECONDS)
        pipeline.exists(f"{self._key}:stop")
        return bool((await pipeline.execute())[-1])

    async def read(self, after: int, *, wait: bool) -> list[Piece]:
        """What follows token `after`, in order; with `wait`, after a moment's patience for something."""
        answer = await self._valkey.xread(
            {self._key: f"{after}-1"}, count=500, block=BLOCK_MILLISECONDS if wait else None
        )
        entries = cast(list[Any], answer)[0][1] if answer else []
        return [
            Piece(int(entry_id.split(b"-")[0]), fields[TEXT].decode() if TEXT in fields else None)
            for entry_id, fields in entries
        ]

    async def _add(self, seq: int, fields: dict[Any, Any]) -> None:
        added = await self._valkey.xadd(
            self._key, fields, id=f"{seq}-0", nomkstream=True, maxlen=MAX_ENTRIES, approximate=False
        )
        if added is None:
            raise StreamLost


async def close_client() -> None:
    """Give back this event loop's connections."""
    client = _clients.pop(asyncio.get_running_loop(), None)
    if client is not None:
        await client.aclose()


def _client() -> Redis:
    loop = asyncio.get_running_loop()
    if loop not in _clients:
        _clients[loop] = Redis.from_url(
            settings.VALKEY_URL,
            protocol=2,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
        )
    return _clients[loop]


@lru_cache(maxsize=1)
def blocking_valkey() -> redis.Redis:
    """The client of synchronous code in this process."""
    return redis.Redis.from_url(
        settings.VALKEY_URL,
        protocol=2,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        health_check_interval=30,
    )
