"""Identifiers: UUIDv7 made here, and their renderings."""

import random
import re
import time
from uuid import UUID

_LOW_BITS = (1 << 62) - 1
_DIGITS = re.compile(r"[0-9a-f]{32}")


def uuid7() -> UUID:
    """A time-ordered UUID (RFC 9562): 48 bits of milliseconds, then 74 random bits."""
    drawn = random.getrandbits(74)
    number = (time.time_ns() // 1_000_000) << 80 | 0x7 << 76 | (drawn >> 62) << 64
    return UUID(int=number | 0x2 << 62 | drawn & _LOW_BITS)


def rendered(prefix: str, identifier: str) -> str:
    """`proj_` and a UUID string give `proj_` with 32 hex digits."""
    return prefix + identifier.replace("-", "")


def parsed(prefix: str, text: str) -> UUID | None:
    """The UUID in what `rendered` gave; None for anything else."""
    digits = text.removeprefix(prefix)
    if not text.startswith(prefix) or not _DIGITS.fullmatch(digits):
        return None
    return UUID(hex=digits)
