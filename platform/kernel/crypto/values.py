"""Sealing of small values under a key-encryption key: database columns, and the data keys of streams.

A sealed value, byte by byte (big-endian):

    1   format version (1)
    1   suite (1 = HKDF-SHA256, AES-256-GCM)
    16  id of the key-encryption key (UUID)
    24  salt, random for each value
    n   ciphertext
    16  tag

Key and nonce are derived from the key-encryption key, the salt and the context, so that no pair is ever
used twice however many values an organization seals, and a value opens only where it was put.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kernel.crypto.errors import CiphertextAltered

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
FORMAT = bytes([1, 1])
SALT_BYTES = 24
HEAD_BYTES = len(FORMAT) + 16 + SALT_BYTES
OVERHEAD_BYTES = HEAD_BYTES + TAG_BYTES


@dataclass(frozen=True)
class KeyEncryptionKey:
    """An unwrapped key-encryption key: 32 secret bytes and the id that sealed values name it by."""

    key_id: UUID
    secret: bytes = field(repr=False)


KeyFinder = Callable[[UUID], KeyEncryptionKey]
"""Finds a key-encryption key by id. Raises `CiphertextAltered` (no such key), `KeyDestroyed`,
`KeyUnavailable`."""


def bind(purpose: str, organization_id: UUID, name: str, version: str = "") -> bytes:
    """The context that ties ciphertext to its place; two different places never give the same bytes."""
    parts = ("loomworks", purpose, str(organization_id), name, version)
    return b"".join(len(raw).to_bytes(4, "big") + raw for raw in (part.encode() for part in parts))


def seal_value(kek: KeyEncryptionKey, plaintext: bytes, context: bytes) -> bytes:
    """Encrypt a small value (held in memory whole) so that it opens only with the same `context`."""
    head = FORMAT + kek.key_id.bytes + os.urandom(SALT_BYTES)
    cipher, nonce = _cipher(kek, head, context)
    return head + cipher.encrypt(nonce, plaintext, head + context)


def open_value(find_key: KeyFinder, sealed: bytes, context: bytes) -> bytes:
    """The plaintext of a sealed value. Raises `CiphertextAltered` and what `find_key` raises."""
    kek = find_key(key_id_of(sealed))
    head = sealed[:HEAD_BYTES]
    cipher, nonce = _cipher(kek, head, context)
    try:
        return cipher.decrypt(nonce, sealed[HEAD_BYTES:], head + context)
    except InvalidTag:
        raise CiphertextAltered from None


def key_id_of(sealed: bytes) -> UUID:
    """The id of the key that a value was sealed with. Raises `CiphertextAltered` if it is no sealed value."""
    if len(sealed) < OVERHEAD_BYTES or sealed[: len(FORMAT)] != FORMAT:
        raise CiphertextAltered
    return UUID(bytes=bytes(sealed[2:18]))


def _cipher(kek: KeyEncryptionKey, head: bytes, context: bytes) -> tuple[AESGCM, bytes]:
    derived = HKDF(SHA256(), KEY_BYTES + NONCE_BYTES, salt=head, info=b"loomworks value" + context)
    material = derived.derive(kek.secret)
    return AESGCM(material[:KEY_BYTES]), material[KEY_BYTES:]
