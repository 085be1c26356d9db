"""Answers that are made while they are sent, in constant memory."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

from channels.db import database_sync_to_async
from django.http import StreamingHttpResponse

CHUNK_BYTES = 1 << 16


class Streamed(StreamingHttpResponse):
    """What a blocking iterator yields, sent as it comes. Django alone would collect it first under ASGI."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces: Iterator[bytes] = iter(self)
        pull: Any = database_sync_to_async(next, thread_sensitive=False)
        while (piece := await pull(pieces, None)) is not None:
            yield piece


def in_chunks(lines: Iterator[bytes]) -> Iterator[bytes]:
    """The lines joined to chunks that are worth sending."""
    held: list[bytes] = []
    size = 0
    for line in lines:
        held.append(line)
        size += len(line)
        if size >= CHUNK_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)
