"""Identifiers: UUIDv7 inside, `prefix-hex` at the edge."""

import secrets
import time
from uuid import UUID

from kernel.errors import NotFound

# As OpenAI's API writes them.
JOINED_BY_UNDERSCORE = frozenset({"proj", "key", "role", "group", "svc_acct", "batch", "resp", "pmpt"})


def uuid7() -> UUID:
    """A new UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & (1 << 48) - 1) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)


def render(prefix: str, identifier: UUID) -> str:
    """The public form, for example `file-0190…`; some are joined by `_`, as OpenAI does."""
    return head_of(prefix) + identifier.hex


def head_of(prefix: str) -> str:
    """What every public id of this kind begins with."""
    return prefix + ("_" if prefix in JOINED_BY_UNDERSCORE else "-")


def made_at(identifier: UUID) -> int:
    """When a UUIDv7 was made, in whole Unix seconds."""
    return (identifier.int >> 80) // 1000


def parse(prefix: str, text: str, *, param: str | None = None) -> UUID:
    """The UUID inside a public id. Raises `NotFound` for anything that is not one of this kind."""
    head = head_of(prefix)
    digits = text[len(head) :]
    if not text.startswith(head) or len(digits) != 32:
        raise NotFound(f"There is no object with the id '{text[:80]}'.", param=param)
    try:
        return UUID(hex=digits)
    except ValueError:
        raise NotFound(f"There is no object with the id '{text[:80]}'.", param=param) from None
