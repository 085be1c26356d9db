"""Bytes that come in chunks, as a stream to read from: what `objects.put` takes."""

from collections.abc import Iterator


class ChunkStream:
    """Reads what an iterator of chunks gives, in constant memory where the chunks are small."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._held = chunks, bytearray()

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end."""
        while len(self._held) < size and (chunk := next(self._chunks, None)) is not None:
            self._held += chunk
        given = bytes(memoryview(self._held)[:size])
        del self._held[:size]
        return given
