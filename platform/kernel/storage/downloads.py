"""Reading ciphertext from S3: one request for each range, taken up again where a connection broke."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from kernel.crypto.errors import CiphertextAltered
from kernel.crypto.streams import Readable
from kernel.storage.client import Bucket, code_of, named_faults

if TYPE_CHECKING:
    from botocore.response import StreamingBody

logger = logging.getLogger(__name__)

RESUMPTIONS = 3
PREFETCHED_BYTES = 1 << 16
# The object's version as its metadata names it; the ciphertext is bound to it.
VERSION = "version"
CHANGED = frozenset({"InvalidRange", "416"})


@contextmanager
def altered_when_changed() -> Iterator[None]:
    """Objects are written once: another length under the same key is not what was written."""
    try:
        yield
    except ClientError as fault:
        if code_of(fault) in CHANGED:
            raise CiphertextAltered from fault
        raise


class StoredCiphertext:
    """The ciphertext of one object, as `kernel.crypto.streams` reads it (a `RandomReader`).

    The first request brings the size and the first 64 KiB, so that a small object takes one request; with
    `whole` it asks for everything, and reading to the end takes no other one.

    Later requests do not insist on the same ETag: re-encryption exchanges the head and leaves the segments,
    so that who has read the head goes on; any other content fails its verification.
    """

    def __init__(self, bucket: Bucket, key: str, *, whole: bool = False) -> None:
        """Ask for the object. Raises `ObjectMissing`, `StorageUnavailable`, `CiphertextAltered` if empty."""
        self._bucket = bucket
        self._key = key
        with named_faults(), altered_when_changed():
            wanted: Any = {} if whole else {"Range": f"bytes=0-{PREFETCHED_BYTES - 1}"}
            answer = bucket.client.get_object(Bucket=bucket.name, Key=key, **wanted)
            self._beginning: bytes = answer["Body"].read(PREFETCHED_BYTES)
        self._rest = answer["Body"] if whole else None
        self.etag = answer["ETag"]
        metadata = answer.get("Metadata", {})
        self.version = metadata.get(VERSION, "")
        # What the store was told of the object besides its bytes.
        self.kept_as: dict[str, Any] = {"Metadata": metadata} if metadata else {}
        if "ObjectLockMode" in answer:
            self.kept_as["ObjectLockMode"] = answer["ObjectLockMode"]
            self.kept_as["ObjectLockRetainUntilDate"] = answer["ObjectLockRetainUntilDate"]
        whole_range = answer.get("ContentRange", f"/{answer['ContentLength']}")
        self.size_bytes = int(whole_range.rpartition("/")[2])

    def open_at(self, start: int, length: int) -> Readable:
        """A stream of the bytes from `start`, at most `length` of them."""
        end = min(start + length, self.size_bytes)
        if end <= len(self._beginning):
            return BytesIO(self._beginning[start:end])
        if self._rest is not None and start < len(self._beginning):
            rest, self._rest = self._rest, None
            return ResumableBody(self, start, end, begun=(self._beginning[start:], rest))
        return ResumableBody(self, start, end)

    def request(self, start: int, end: int) -> StreamingBody:
        """One GET of the bytes from `start` to before `end`."""
        answer = self._bucket.client.get_object(
            Bucket=self._bucket.name, Key=self._key, Range=f"bytes={start}-{end - 1}"
        )
        return answer["Body"]


class ResumableBody:
    """A range of an object as a stream; a connection that breaks in the middle is made anew."""

    def __init__(
        self,
        source: StoredCiphertext,
        start: int,
        end: int,
        *,
        begun: tuple[bytes, StreamingBody] | None = None,
    ) -> None:
        """`begun` is what was read already from the start on, and the body that goes on from there."""
        self._source = source
        self._position = start
        self._end = end
        self._beginning: bytes = begun[0] if begun else b""
        self._body: StreamingBody | None = begun[1] if begun else None
        self._resumptions = 0

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes, none at the end. Raises `ObjectMissing`, `StorageUnavailable`."""
        if self._position >= self._end or size <= 0:
            return b""
        if self._beginning:
            return self._read_beginning(size)
        while True:
            try:
                return self._read_some(size)
            except BotoCoreError as fault:
                self.close()
                self._resumptions += 1
                if self._resumptions > RESUMPTIONS:
                    with named_faults():
                        raise
                logger.warning("Reading goes on at byte %d after: %s", self._position, fault)

    def close(self) -> None:
        """Give the connection back."""
        if self._body is not None:
            self._body.close()
            self._body = None

    def _read_beginning(self, size: int) -> bytes:
        chunk, self._beginning = self._beginning[:size], self._beginning[size:]
        self._position += len(chunk)
        return chunk

    def _read_some(self, size: int) -> bytes:
        if self._body is None:
            self._body = self._open()
        chunk: bytes = self._body.read(min(size, self._end - self._position))
        if not chunk:
            raise CiphertextAltered
        self._position += len(chunk)
        if self._position >= self._end:
            self.close()
        return chunk

    def _open(self) -> StreamingBody:
        with named_faults(), altered_when_changed():
            return self._source.request(self._position, self._end)
