"""The bytes of an audit entry that its hash is taken of: the same in the sealer and in anybody's verifier.

Big-endian. A text is UTF-8 and preceded by its length in bytes (4); so is what may be absent.

    24  "loomworks audit entry 1\\n"
    16  id of the organization (UUID)
    8   sequence number, counted from 0
    32  hash of the entry before; zeros for the first
    16  id of the entry (UUID)
    8   microseconds since 1970-01-01T00:00:00Z, signed
    …   actor, action, target, outcome, request id: texts
    …   id of the person behind the actor (length 16 or 0)
    …   commitment to the network address (length 32 or 0): SHA-256 of a salt of 16 bytes and the address
    …   details: a text, JSON with sorted keys, without blanks, nothing escaped that need not be

The entry's hash is the SHA-256 of these bytes.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

HEAD = b"loomworks audit entry 1\n"
HASH_BYTES = 32
SALT_BYTES = 16
NOTHING_BEFORE = bytes(HASH_BYTES)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

_json = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


@dataclass(frozen=True)
class Entry:
    """What is sealed of an entry, and no more."""

    organization_id: UUID
    id: UUID
    occurred_at: datetime
    actor: str
    action: str
    target: str
    outcome: str
    request_id: str = ""
    person: UUID | None = None
    address_commitment: bytes = b""
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Link:
    """An entry's place in its organization's chain."""

    sequence: int
    previous_hash: bytes
    hash: bytes


def canonical(entry: Entry, sequence: int, previous_hash: bytes) -> bytes:
    """The bytes of the entry at that place of the chain."""
    return b"".join(
        (
            HEAD,
            entry.organization_id.bytes,
            sequence.to_bytes(8, "big"),
            previous_hash,
            entry.id.bytes,
            ((entry.occurred_at - EPOCH) // MICROSECOND).to_bytes(8, "big", signed=True),
            *_texts(entry.actor, entry.action, entry.target, entry.outcome, entry.request_id),
            *_counted(entry.person.bytes if entry.person else b""),
            *_counted(entry.address_commitment),
            *_texts(canonical_json(entry.details)),
        )
    )


def entry_hash(entry: Entry, sequence: int, previous_hash: bytes) -> bytes:
    """The SHA-256 of the entry at that place of the chain."""
    return sha256(canonical(entry, sequence, previous_hash)).digest()


def commitment(salt: bytes, address: str) -> bytes:
    """What stands for a network address in the chain: it can be checked by who is told address and salt."""
    return sha256(salt + address.encode()).digest()


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, without blanks, nothing escaped that need not be."""
    return _json(value)


def _texts(*texts: str) -> tuple[bytes, ...]:
    # A lone surrogate is in no text of ours; in a forged one it must not crash the verifier.
    return tuple(part for text in texts for part in _counted(text.encode("utf-8", "surrogatepass")))


def _counted(raw: bytes) -> tuple[bytes, bytes]:
    return len(raw).to_bytes(4, "big"), raw
