"""The text of an answer under way, in Valkey: written by one process, read by any, from any token on.

An entry's id is the token's number, `<seq>-0`, so that reading after a number is exact. A first entry
`0-1` makes the stream and holds its wrapped key; the tokens are sealed under that (`sealing`); one without
text ends the stream. Nothing is ever trimmed, so no reader meets a gap: what would outgrow the bounds is
refused to the writer. Two keys stand beside it: `:alive`, which the writing process renews, and `:stop`,
which anybody may set.
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

from inference.chat.sealing import AnswerKey, new_key, unwrapped, wrapped
from kernel.crypto.errors import CiphertextAltered, KeyDestroyed
from kernel.errors import DomainError

ALIVE_SECONDS = 15
KEEP_SECONDS = 3600
KEEP_ENDED_SECONDS = 600
MAX_ENTRIES = 4_096
MAX_TEXT_BYTES = 256 * 1024
BLOCK_MILLISECONDS = 2_000
TIMEOUT_SECONDS = 5.0
TEXT, KEY = b"text", b"key"

_clients: "WeakKeyDictionary[asyncio.AbstractEventLoop, Redis]" = WeakKeyDictionary()


class StreamLost(Exception):
    """The stream is no longer there: Valkey was wiped, and followers would see a gap."""


class AnswerTooLong(DomainError):
    """The answer outgrew what is streamed of one."""

    code, status = "answer_too_long", 502
    message = "The answer grew longer than is accepted of a model; what came until then is kept."


@dataclass(frozen=True)
class Piece:
    """The text of token `seq`; None ends the answer."""

    seq: int
    text: str | None


def stream_key(message_id: UUID) -> str:
    """The stream of one answer."""
    return f"lw:chat:{message_id}"


def open_stream(organization_id: UUID, message_id: UUID, person: UUID | None) -> AnswerKey:
    """Make the stream, its writer counting as alive from now on; answers its key, sealed under the person's.

    Raises `redis.RedisError`, `KeyDestroyed`, `KeyUnavailable`.
    """
    answer_key = new_key()
    kept = wrapped(answer_key, organization_id, message_id, person)
    key = stream_key(message_id)
    pipeline = blocking_valkey().pipeline(transaction=True)
    pipeline.set(f"{key}:alive", "1", ex=ALIVE_SECONDS)
    pipeline.xadd(key, {KEY: kept}, id="0-1")
    pipeline.expire(key, KEEP_SECONDS)
    pipeline.execute()
    return answer_key


def find_key(organization_id: UUID, message_id: UUID) -> AnswerKey | None:
    """The key of an answer's stream; None where there is no stream.

    Raises `redis.RedisError`, `CiphertextAltered`, `KeyDestroyed`, `KeyUnavailable`.
    """
    first = cast(list[Any], blocking_valkey().xrange(stream_key(message_id), min="0-1", max="0-1"))
    return unwrapped(first[0][1][KEY], organization_id, message_id) if first else None


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


def text_so_far(organization_id: UUID, message_id: UUID) -> str:
    """What the stream holds of the answer; nothing where its key was destroyed, or the stream altered.

    Raises `redis.RedisError`, `KeyUnavailable`.
    """
    try:
        key = find_key(organization_id, message_id)
        if key is None:
            return ""
        entries = cast(list[Any], blocking_valkey().xrange(stream_key(message_id)))
        return "".join(piece.text or "" for piece in _pieces(entries, key))
    except (KeyDestroyed, CiphertextAltered):
        return ""


class AnswerStream:
    """One answer's stream as asynchronous code writes and reads it. All methods raise `redis.RedisError`."""

    def __init__(self, message_id: UUID, key: AnswerKey) -> None:
        self._name, self._key = stream_key(message_id), key
        self._valkey = _client()
        self._entries = self._bytes = 0

    def make_room(self, text: str) -> None:
        """Count one token more, which is to be appended. Raises `AnswerTooLong`."""
        self._entries += 1
        self._bytes += len(text.encode())
        if self._entries > MAX_ENTRIES or self._bytes > MAX_TEXT_BYTES:
            raise AnswerTooLong

    async def append(self, seq: int, text: str) -> None:
        """Add one token's text, for which there is room. Raises `StreamLost`."""
        await self._add(seq, {TEXT: self._key.seal(seq, text)})

    async def end(self, seq: int) -> None:
        """Say that nothing follows; the text stays readable for some minutes. Raises `StreamLost`."""
        await self._add(seq, {"end": "1"})
        pipeline = self._valkey.pipeline(transaction=True)
        pipeline.expire(self._name, KEEP_ENDED_SECONDS)
        pipeline.delete(f"{self._name}:alive", f"{self._name}:stop")
        await pipeline.execute()

    async def beat(self) -> bool:
        """Renew the sign of life; answers whether somebody asked to stop."""
        pipeline = self._valkey.pipeline(transaction=False)
        pipeline.set(f"{self._name}:alive", "1", ex=ALIVE_SECONDS)
        pipeline.expire(self._name, KEEP_SECONDS)
        pipeline.exists(f"{self._name}:stop")
        return bool((await pipeline.execute())[-1])

    async def read(self, after: int, *, wait: bool) -> list[Piece]:
        """What follows token `after`, in order; with `wait`, after a moment's patience for something."""
        answer = await self._valkey.xread(
            {self._name: f"{after}-1"}, count=MAX_ENTRIES + 1, block=BLOCK_MILLISECONDS if wait else None
        )
        return _pieces(cast(list[Any], answer)[0][1], self._key) if answer else []

    async def _add(self, seq: int, fields: dict[Any, Any]) -> None:
        added = await self._valkey.xadd(self._name, fields, id=f"{seq}-0", nomkstream=True)
        if added is None:
            raise StreamLost


def _pieces(entries: list[Any], key: AnswerKey) -> list[Piece]:
    numbered = ((int(entry_id.split(b"-")[0]), fields) for entry_id, fields in entries)
    return [
        Piece(seq, key.open(seq, fields[TEXT]) if TEXT in fields else None)
        for seq, fields in numbered
        if KEY not in fields
    ]


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
