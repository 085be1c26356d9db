"""The object store of organizations: every object is encrypted before it leaves the process."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from botocore.exceptions import ClientError

from kernel.crypto import keys
from kernel.crypto.streams import Readable, StreamReader, Unlock, encrypt
from kernel.crypto.values import bind
from kernel.storage.client import Bucket, bucket, code_of, locked_bucket, named_faults
from kernel.storage.downloads import VERSION, StoredCiphertext
from kernel.storage.errors import ObjectMissing
from kernel.storage.names import prefix_of, require_own
from kernel.storage.uploads import abandon_stale_uploads, upload

__all__ = [
    "StoredFile",
    "StoredObject",
    "abandon_uploads",
    "context_of",
    "delete",
    "delete_everything",
    "ensure_bucket",
    "exists",
    "get",
    "get_locked",
    "get_range",
    "open_object",
    "probe",
    "put",
    "put_locked",
]

BUFFER_BYTES = 1 << 16


@dataclass(frozen=True)
class StoredObject:
    """What was stored: its key, and length and SHA-256 (hex) of the plaintext."""

    key: str
    bytes: int
    sha256_of_plaintext: str


class StoredFile(io.RawIOBase):
    """The plaintext of an object as a seekable file; each read fetches and verifies its segments only.

    The segment last read is kept: a parser's many small reads fetch each segment once.
    """

    def __init__(self, reader: StreamReader) -> None:
        self._reader = reader
        self._position = 0
        self._kept, self._kept_from = b"", 0

    @property
    def size_bytes(self) -> int:
        return self._reader.size_bytes

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._reader.size_bytes}[whence]
        if base + offset < 0:
            raise ValueError("A file has no bytes before its start.")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        size = self._reader.segment_bytes
        if len(buffer) >= size:
            pieces = self._reader.read_range(self._position, len(buffer))
        else:
            pieces = iter([self._within_segment(self._position, len(buffer))])
        filled = 0
        for piece in pieces:
            buffer[filled : filled + len(piece)] = piece
            filled += len(piece)
        self._position += filled
        return filled

    def readall(self) -> bytes:
        left = max(0, self.size_bytes - self._position)
        # One byte more than there is: that end is verified which says that nothing was cut off.
        content = b"".join(self._reader.read_range(self._position, left + 1))
        self._position += len(content)
        return content

    def _within_segment(self, start: int, length: int) -> bytes:
        """Bytes from `start` to the end of their segment at most."""
        size = self._reader.segment_bytes
        if not self._kept_from <= start < self._kept_from + len(self._kept):
            self._kept_from = start - start % size
            self._kept = b"".join(self._reader.read_range(self._kept_from, size))
        return self._kept[start - self._kept_from :][:length]


class Measured:
    """Passes a stream on, counting and hashing what flows."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._digest = sha256()
        self.size_bytes = 0

    def read(self, size: int, /) -> bytes:
        chunk = self._source.read(size)
        self._digest.update(chunk)
        self.size_bytes += len(chunk)
        return chunk

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def put(organization_id: UUID, key: str, stream: Readable, *, version: str = "") -> StoredObject:
    """Encrypt and store a binary stream, in constant memory; the object appears whole or not at all.

    A key is written once: new content takes a new key (`kernel.storage.names.object_key`), or a new
    `version`, which must be given again to read. Raises `ForeignObjectKey`, `StorageUnavailable`,
    `KeyDestroyed`, `KeyUnavailable`, and whatever reading the stream raises.
    """
    return _put(bucket(), organization_id, key, stream, version)


def put_locked(
    organization_id: UUID, key: str, stream: Readable, *, until: datetime, version: str = ""
) -> StoredObject:
    """Encrypt and store like `put`, in the bucket with Object Lock: nobody can change or remove what is
    stored before that moment, whatever their rights (mode COMPLIANCE). Read it with `get_locked`.

    Raises what `put` raises, and `LockUnsupported` where there is no such bucket.
    """
    lock = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}
    return _put(locked_bucket(), organization_id, key, stream, version, **lock)


def _put(
    store: Bucket, organization_id: UUID, key: str, stream: Readable, version: str, **extra: Any
) -> StoredObject:
    require_own(organization_id, key)
    source = Measured(stream)
    kek = keys.key_for(organization_id)
    named = {"Metadata": {VERSION: version}} if version else {}
    chunks = encrypt(source, kek, context_of(organization_id, key, version))
    upload(store, key, chunks, **named, **extra)
    return StoredObject(key, source.size_bytes, source.sha256)


def get(organization_id: UUID, key: str, *, version: str = "") -> Iterator[bytes]:
    """The plaintext in chunks of at most 1 MiB, each verified before it is given out.

    Raises at once `ForeignObjectKey`, `ObjectMissing`, `StorageUnavailable`, `KeyDestroyed`,
    `KeyUnavailable`; also while reading `CiphertextAltered` and `StorageUnavailable`.
    """
    return _whole(bucket(), organization_id, key, version)


def get_locked(organization_id: UUID, key: str, *, version: str = "") -> Iterator[bytes]:
    """What `put_locked` stored, as `get` gives it. Raises what `get` raises, and `LockUnsupported`."""
    return _whole(locked_bucket(), organization_id, key, version)


def _whole(store: Bucket, organization_id: UUID, key: str, version: str) -> Iterator[bytes]:
    reader = _reader(store, organization_id, key, version, whole=True)
    # One byte more than there is: the end is verified too.
    return reader.read_range(0, reader.size_bytes + 1)


def get_range(
    organization_id: UUID, key: str, start: int, length: int, *, version: str = ""
) -> Iterator[bytes]:
    """Plaintext from byte `start`, `length` bytes or as many as there are; raises what `get` raises.

    Fetches and verifies the segments of the range only (1 MiB each).
    """
    return _reader(bucket(), organization_id, key, version).read_range(start, length)


def open_object(organization_id: UUID, key: str, *, version: str = "") -> io.BufferedReader:
    """The plaintext as a seekable binary file, for parsers that want one; raises what `get` raises."""
    return io.BufferedReader(StoredFile(_reader(bucket(), organization_id, key, version)), BUFFER_BYTES)


def delete(organization_id: UUID, key: str) -> None:
    """Remove an object; that it is not there is no fault.

    Raises `ForeignObjectKey`, `StorageUnavailable`.
    """
    require_own(organization_id, key)
    store = bucket()
    with named_faults():
        store.client.delete_object(Bucket=store.name, Key=key)


def delete_everything(organization_id: UUID) -> int:
    """Remove every object of an organization; answers how many there were. Safe to repeat.

    Raises `StorageUnavailable`.
    """
    store = bucket()
    removed = 0
    with named_faults():
        pages = store.client.get_paginator("list_objects_v2")
        for listed in pages.paginate(Bucket=store.name, Prefix=prefix_of(organization_id)):
            for found in listed.get("Contents", []):
                store.client.delete_object(Bucket=store.name, Key=found["Key"])
                removed += 1
    return removed


def exists(organization_id: UUID, key: str) -> bool:
    """Whether the object is there. Raises `ForeignObjectKey`, `StorageUnavailable`."""
    require_own(organization_id, key)
    store = bucket()
    try:
        with named_faults():
            store.client.head_object(Bucket=store.name, Key=key)
    except ObjectMissing:
        return False
    return True


def ensure_bucket() -> None:
    """Make the bucket unless it is there. Raises `StorageUnavailable`."""
    store = bucket()
    with named_faults():
        try:
            store.client.head_bucket(Bucket=store.name)
        except ClientError as fault:
            if code_of(fault) not in {"404", "NoSuchBucket"}:
                raise
            _create_bucket(store)


def probe() -> None:
    """Ask the store for a sign of life. Raises `StorageUnavailable`, also when the bucket is not there."""
    store = bucket()
    with named_faults():
        store.client.list_objects_v2(Bucket=store.name, MaxKeys=1)


def abandon_uploads(*, older_than_hours: float = 24.0) -> int:
    """Drop what uploads left whose process died; answers how many. For the daily schedule."""
    return abandon_stale_uploads(bucket(), older_than_hours=older_than_hours)


def _create_bucket(store: Bucket) -> None:
    try:
        store.client.create_bucket(Bucket=store.name)
    except ClientError as fault:
        # Another process was quicker.
        if code_of(fault) not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
            raise


def _reader(
    store: Bucket, organization_id: UUID, key: str, version: str, *, whole: bool = False
) -> StreamReader:
    require_own(organization_id, key)
    unlock = Unlock(keys.finder(organization_id), context_of(organization_id, key, version))
    return StreamReader(StoredCiphertext(store, key, whole=whole), unlock)


def context_of(organization_id: UUID, key: str, version: str) -> bytes:
    """What an object's ciphertext is bound to."""
    return bind("object", organization_id, key, version)
