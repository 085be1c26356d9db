"""Encryption of byte streams of any length, in segments that can be read and verified one by one.

The STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár: "Online Authenticated-Encryption and its
Nonce-Reuse Misuse-Resistance", CRYPTO 2015) over AES-256-GCM, with a fresh data key for each stream.
An encrypted stream, byte by byte (big-endian):

    4   magic "LWES"
    1   format version (1)
    1   suite (1 = AES-256-GCM, STREAM)
    4   plaintext bytes in a segment
    7   nonce prefix, random
    2   length of the sealed data key
    n   data key, sealed under a key-encryption key (see kernel.crypto.values)
    …   segments: ciphertext and 16-byte tag; only the last is shorter; an empty stream has one, empty

The nonce of a segment is prefix, index (4 bytes) and 1 for the last segment, else 0. Segments authenticate
format, suite, segment size, prefix and the caller's context, yet not the sealed data key, so that a stream
can be put under another key-encryption key by rewriting its head alone.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kernel.crypto.errors import CiphertextAltered
from kernel.crypto.values import (
    KEY_BYTES,
    OVERHEAD_BYTES,
    TAG_BYTES,
    KeyEncryptionKey,
    KeyFinder,
    key_id_of,
    open_value,
    seal_value,
)

MAGIC = b"LWES\x01\x01"
PREFIX_BYTES = 7
SEGMENT_BYTES = 1 << 20
MAX_SEGMENT_BYTES = 16 << 20
MAX_SEGMENTS = 1 << 32
FIXED_BYTES = len(MAGIC) + 4 + PREFIX_BYTES
MAX_SEALED_KEY_BYTES = 1024
MAX_HEADER_BYTES = FIXED_BYTES + 2 + MAX_SEALED_KEY_BYTES
HEADER_BYTES = FIXED_BYTES + 2 + KEY_BYTES + OVERHEAD_BYTES


class Readable(Protocol):
    """A binary stream; `read` may return fewer bytes than asked for, and none only at the end.

    Where there is a `readinto` as files have it, it is used instead.
    """

    def read(self, size: int, /) -> bytes: ...


class RandomReader(Protocol):
    """Ciphertext that can be read from anywhere."""

    @property
    def size_bytes(self) -> int:
        """Length of the whole ciphertext as the store tells it (it is not trusted)."""
        ...

    def open_at(self, start: int, length: int) -> Readable:
        """A stream of the bytes from `start`, at most `length` of them."""
        ...


@dataclass(frozen=True)
class Unlock:
    """What it takes to open a stream: a way to find its key, and the place where it must lie."""

    find_key: KeyFinder
    context: bytes


@dataclass(frozen=True)
class Segments:
    """Seals and opens the segments of one stream."""

    segment_bytes: int
    prefix: bytes
    associated: bytes
    cipher: AESGCM = field(repr=False)

    @property
    def sealed_bytes(self) -> int:
        return self.segment_bytes + TAG_BYTES

    def seal(self, index: int, plaintext: bytes | memoryview, *, last: bool) -> bytes:
        """The ciphertext of one segment. Raises `OverflowError` past 2^32 segments."""
        return self.cipher.encrypt(self._nonce(index, last=last), plaintext, self.associated)

    def open(self, index: int, sealed: bytes | memoryview, *, last: bool) -> bytes:
        """The plaintext of one segment. Raises `CiphertextAltered`."""
        if index >= MAX_SEGMENTS:
            raise CiphertextAltered
        try:
            return self.cipher.decrypt(self._nonce(index, last=last), sealed, self.associated)
        except InvalidTag:
            raise CiphertextAltered from None

    def _nonce(self, index: int, *, last: bool) -> bytes:
        return self.prefix + index.to_bytes(4, "big") + bytes([last])


def encrypt(
    source: Readable, kek: KeyEncryptionKey, context: bytes, *, segment_bytes: int = SEGMENT_BYTES
) -> Iterator[bytes]:
    """The encrypted stream of `source`: its header, then one chunk for each segment, in constant memory."""
    if not 1 <= segment_bytes <= MAX_SEGMENT_BYTES:
        raise ValueError(f"A segment has 1 to {MAX_SEGMENT_BYTES} bytes.")
    fixed = MAGIC + segment_bytes.to_bytes(4, "big") + os.urandom(PREFIX_BYTES)
    data_key = os.urandom(KEY_BYTES)
    sealed_key = seal_value(kek, data_key, fixed + context)
    segments = _segments(fixed, data_key, context)
    yield fixed + len(sealed_key).to_bytes(2, "big") + sealed_key
    for index, plaintext, last in _cut(source, segment_bytes):
        yield segments.seal(index, plaintext, last=last)


def sealed_by(head: Readable) -> UUID:
    """Which key-encryption key a stream is under; reads its head only. Raises `CiphertextAltered`."""
    return key_id_of(_split_head(head)[1])


def exchange_head(head: Readable, unlock: Unlock, kek: KeyEncryptionKey) -> bytes:
    """The head of the same stream under another key-encryption key, as long as the one that is read: what
    follows it stays as it is. Raises `CiphertextAltered` and what `unlock.find_key` raises.
    """
    fixed, sealed_key = _split_head(head)
    data_key = _open_data_key(fixed, sealed_key, unlock)
    exchanged = seal_value(kek, data_key, fixed + unlock.context)
    if len(exchanged) != len(sealed_key):
        raise CiphertextAltered
    return fixed + len(exchanged).to_bytes(2, "big") + exchanged


def decrypt(source: Readable, unlock: Unlock) -> Iterator[bytes]:
    """The plaintext of an encrypted stream, each chunk verified before it is given out.

    Raises at once what `unlock.find_key` raises; `CiphertextAltered` at the first segment that is not what
    was written there, also when segments at the end are missing: what came before is right.
    """
    segments, _ = _read_header(source, unlock)
    pieces = _cut(source, segments.sealed_bytes)
    return (segments.open(index, sealed, last=last) for index, sealed, last in pieces)


class StreamReader:
    """Random access to the plaintext of one encrypted stream; each range reads its own segments only."""

    def __init__(self, reader: RandomReader, unlock: Unlock) -> None:
        """Read the header. Raises `CiphertextAltered` and what `unlock.find_key` raises."""
        self._reader = reader
        head = reader.open_at(0, min(MAX_HEADER_BYTES, reader.size_bytes))
        self._segments, self._header_bytes = _read_header(head, unlock)
        self._find_key = unlock.find_key
        self._key_id = sealed_by(reader.open_at(0, min(MAX_HEADER_BYTES, reader.size_bytes)))
        body_bytes = reader.size_bytes - self._header_bytes
        if body_bytes < TAG_BYTES:
            raise CiphertextAltered
        self._count = -(-body_bytes // self._segments.sealed_bytes)
        self.size_bytes = body_bytes - self._count * TAG_BYTES
        """Length of the plaintext if nothing was cut off; reading the end proves it."""
        self.segment_bytes = self._segments.segment_bytes
        """How many bytes of plaintext are verified together."""

    def read_range(self, start: int, length: int) -> Iterator[bytes]:
        """The bytes from `start`, `length` of them or as many as there are.

        A range that touches or passes the end verifies the end. Raises `CiphertextAltered`, what
        `unlock.find_key` raises of a key that is gone meanwhile, `ValueError` for a negative start or length.
        """
        if start < 0 or length < 0:
            raise ValueError("A range starts at 0 or later and has no negative length.")
        return self._read_range(start, length)

    def _read_range(self, start: int, length: int) -> Iterator[bytes]:
        size = self._segments.segment_bytes
        final = self._count - 1
        first = min(start // size, final)
        end = min(start + length, self.size_bytes)
        stop = final if start + length > self.size_bytes else max(first, (end - 1) // size)
        for index, plaintext in self._open_segments(first, stop):
            piece = plaintext[max(0, start - index * size) : max(0, end - index * size)]
            if piece:
                yield piece

    def _open_segments(self, first: int, stop: int) -> Iterator[tuple[int, bytes]]:
        sealed_bytes = self._segments.sealed_bytes
        offset = self._header_bytes + first * sealed_bytes
        length = min((stop - first + 1) * sealed_bytes, self._reader.size_bytes - offset)
        source = self._reader.open_at(offset, length)
        buffer = memoryview(bytearray(min(sealed_bytes, length)))
        for index in range(first, stop + 1):
            # However long a reader goes on: a key that was revoked meanwhile opens no further segment.
            self._find_key(self._key_id)
            sealed = buffer[: _fill(source, buffer)]
            yield index, self._segments.open(index, sealed, last=index == self._count - 1)


def open_range(reader: RandomReader, start: int, length: int, unlock: Unlock) -> Iterator[bytes]:
    """The plaintext bytes from `start`, `length` of them or as many as there are; see `StreamReader`."""
    return StreamReader(reader, unlock).read_range(start, length)


def _segments(fixed: bytes, data_key: bytes, context: bytes) -> Segments:
    return Segments(
        segment_bytes=int.from_bytes(fixed[6:10], "big"),
        prefix=fixed[10:],
        # Hashed, so that a long context costs nothing per segment.
        associated=sha256(fixed + context).digest(),
        cipher=AESGCM(data_key),
    )


def _read_header(source: Readable, unlock: Unlock) -> tuple[Segments, int]:
    fixed, sealed_key = _split_head(source)
    data_key = _open_data_key(fixed, sealed_key, unlock)
    return _segments(fixed, data_key, unlock.context), FIXED_BYTES + 2 + len(sealed_key)


def _split_head(source: Readable) -> tuple[bytes, bytes]:
    """The head's fixed part and the sealed data key."""
    fixed = _read_exactly(source, FIXED_BYTES)
    key_length = int.from_bytes(_read_exactly(source, 2), "big")
    segment_bytes = int.from_bytes(fixed[6:10], "big")
    if fixed[: len(MAGIC)] != MAGIC or not 1 <= segment_bytes <= MAX_SEGMENT_BYTES:
        raise CiphertextAltered
    if key_length > MAX_SEALED_KEY_BYTES:
        raise CiphertextAltered
    return fixed, _read_exactly(source, key_length)


def _open_data_key(fixed: bytes, sealed_key: bytes, unlock: Unlock) -> bytes:
    data_key = open_value(unlock.find_key, sealed_key, fixed + unlock.context)
    if len(data_key) != KEY_BYTES:
        raise CiphertextAltered
    return data_key


def _cut(source: Readable, size: int) -> Iterator[tuple[int, memoryview, bool]]:
    """Pieces of `size` bytes with their index and whether they are the last; at least one, maybe empty.

    A piece is valid until the next one is asked for: all share one buffer, because fresh megabytes for each
    segment were measured to cost more than their encryption.
    """
    # One byte more than a piece tells whether another follows.
    buffer = memoryview(bytearray(size + 1))
    index, filled = 0, _fill(source, buffer)
    while filled > size:
        yield index, buffer[:size], False
        buffer[0] = buffer[size]
        index, filled = index + 1, 1 + _fill(source, buffer[1:])
    yield index, buffer[:filled], True


def _fill(source: Readable, buffer: memoryview) -> int:
    """Fill the buffer as far as the source goes; answers how many bytes that were."""
    read_into = getattr(source, "readinto", None) or partial(_read_into, source)
    filled = 0
    while filled < len(buffer) and (count := read_into(buffer[filled:])):
        filled += count
    return filled


def _read_into(source: Readable, buffer: memoryview) -> int:
    chunk = source.read(len(buffer))
    buffer[: len(chunk)] = chunk
    return len(chunk)


def _read_exactly(source: Readable, size: int) -> bytes:
    """`size` bytes, or fewer only at the end of the source."""
    buffer = memoryview(bytearray(size))
    return bytes(buffer[: _fill(source, buffer)])
