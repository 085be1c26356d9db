"""Lines of a byte stream, bounded: a line too long is reported and skipped in constant memory."""

from collections.abc import Iterator
from typing import Protocol

from tenants.datasets.formats.rows import Problem

MAX_LINE_BYTES = 8 * 1024 * 1024
READ_BYTES = 1 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Readable(Protocol):
    """A binary file, as far as it is needed."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end."""
        ...


def lines(stream: Readable, *, limit_bytes: int = MAX_LINE_BYTES) -> Iterator[tuple[int, bytes | Problem]]:
    """Each line with its number from 1, without its line end; blank lines are passed over.

    A line of more than `limit_bytes` comes as a `Problem` instead.
    """
    number, held, overlong = 0, b"", False
    first = True
    while chunk := stream.read(READ_BYTES):
        if first:
            chunk, first = chunk.removeprefix(BYTE_ORDER_MARK), False
        *complete, rest = (held + chunk).split(b"\n") if not overlong else chunk.split(b"\n")
        for line in complete:
            number += 1
            yield from _one(number, line, limit_bytes, overlong=overlong)
            overlong = False
        overlong = overlong or len(rest) > limit_bytes
        held = b"" if overlong else rest
    if held or overlong:
        yield from _one(number + 1, held, limit_bytes, overlong=overlong)


def _one(
    number: int, line: bytes, limit_bytes: int, *, overlong: bool
) -> Iterator[tuple[int, bytes | Problem]]:
    if overlong or len(line) > limit_bytes:
        message = f"The line is longer than {limit_bytes // (1024 * 1024)} MiB; split it into several rows."
        yield number, Problem(number, "line_too_long", message)
    elif line.strip():
        yield number, line.rstrip(b"\r")
