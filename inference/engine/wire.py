"""A small HTTP/1.1 client over a unix socket: closing it is how a generation is aborted."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

_LINE_BYTES = 16 << 20


class Disconnected(Exception):
    """The instance closed the connection before its answer was whole."""


@dataclass
class Reply:
    """An answer whose head is read and whose body is still to come."""

    status: int
    headers: dict[str, str]
    reader: asyncio.StreamReader

    async def read(self) -> bytes:
        """Return the whole body."""
        return b"".join([piece async for piece in self.pieces()])

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives; raise `Disconnected` when it ends too early."""
        try:
            if "chunked" in self.headers.get("transfer-encoding", ""):
                async for piece in self._chunks():
                    yield piece
            elif size := int(self.headers.get("content-length", "0")):
                yield await self.reader.readexactly(size)
        except (OSError, asyncio.IncompleteReadError, ValueError) as fault:
            raise Disconnected from fault

    async def _chunks(self) -> AsyncIterator[bytes]:
        while size := int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16):
            yield await self.reader.readexactly(size)
            await self.reader.readexactly(2)

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the JSON of each server-sent `data:` line."""
        pending = b""
        async for piece in self.pieces():
            pending += piece
            *lines, pending = pending.split(b"\n\n")
            for line in lines:
                if line.startswith(b"data: ") and line != b"data: [DONE]":
                    yield json.loads(line[6:])
                elif line.startswith(b"error: "):
                    yield {"error": json.loads(line[7:])}


@asynccontextmanager
async def post(socket: str, path: str, key: str, payload: object) -> AsyncIterator[Reply]:
    """Send one request; leaving the block closes the connection, which aborts what is not finished.

    Raises `Disconnected` when there is no server, or none that finishes its answer.
    """
    body = json.dumps(payload).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: instance\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    writer = None
    try:
        try:
            reader, writer = await asyncio.open_unix_connection(socket, limit=_LINE_BYTES)
            writer.write(head.encode() + body)
            await writer.drain()
            reply = await _read_head(reader)
        except (OSError, asyncio.IncompleteReadError, ValueError) as fault:
            raise Disconnected from fault
        yield reply
    finally:
        if writer is not None:
            writer.transport.abort()


async def _read_head(reader: asyncio.StreamReader) -> Reply:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.split(":", 1) for line in head[1:] if ":" in line)
    headers = {name.strip().lower(): value.strip().lower() for name, value in pairs}
    return Reply(int(head[0].split(" ")[1]), headers, reader)
