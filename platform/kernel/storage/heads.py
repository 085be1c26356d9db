"""The heads of stored objects: under which key each is, and how it gets under another one.

A head holds an object's data key, sealed. Exchanging it is all it takes to leave a key-encryption key: the
segments are copied within the store, and who is reading them goes on undisturbed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from botocore.exceptions import ClientError
from django.conf import settings

from kernel.crypto import keys
from kernel.crypto.streams import MAX_HEADER_BYTES, Unlock, exchange_head, sealed_by
from kernel.storage.client import Bucket, bucket, code_of, locked_bucket, named_faults
from kernel.storage.downloads import StoredCiphertext
from kernel.storage.errors import ObjectMissing
from kernel.storage.names import prefix_of
from kernel.storage.objects import context_of
from kernel.storage.uploads import CONTENT_TYPE, PART_BYTES, abandon, sealed_by_the_store

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

# The store takes up to 5 GiB at a time.
COPIED_BYTES = 1 << 30
# Somebody replaced or removed the object meanwhile.
OVERTAKEN = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})


@dataclass(frozen=True)
class Listed:
    """Some of an organization's objects; `after` is where the next ones begin, none at the end."""

    names: list[str]
    after: str | None


def buckets() -> dict[str, Bucket]:
    """Every bucket with objects of organizations, by a name for it."""
    found = {"objects": bucket()}
    if settings.S3_LOCKED_BUCKET:
        found["locked objects"] = locked_bucket()
    return found


def list_after(store: Bucket, organization_id: UUID, after: str, most: int) -> Listed:
    """The organization's next objects in the order of their names. Raises `StorageUnavailable`."""
    with named_faults():
        answer = store.client.list_objects_v2(
            Bucket=store.name, Prefix=prefix_of(organization_id), StartAfter=after, MaxKeys=most
        )
    names = [found["Key"] for found in answer.get("Contents", [])]
    return Listed(names, names[-1] if names and answer.get("IsTruncated") else None)


def key_of(store: Bucket, name: str) -> UUID | None:
    """Under which key the object is; None if it is gone. Raises `StorageUnavailable`, `CiphertextAltered`."""
    try:
        source = StoredCiphertext(store, name)
    except ObjectMissing:
        return None
    return sealed_by(source.open_at(0, MAX_HEADER_BYTES))


def exchange(store: Bucket, organization_id: UUID, name: str) -> bool:
    """Put the object under the organization's newest key; answers whether it was under an older one.

    Raises `StorageUnavailable`, `CiphertextAltered`, `KeyUnavailable`. Broken off at any point, the object is
    as it was or as it shall be.
    """
    try:
        source = StoredCiphertext(store, name)
    except ObjectMissing:
        return False
    newest = keys.key_for(organization_id)
    if sealed_by(source.open_at(0, MAX_HEADER_BYTES)) == newest.key_id:
        return False
    unlock = Unlock(keys.finder(organization_id), context_of(organization_id, name, source.version))
    head = exchange_head(source.open_at(0, MAX_HEADER_BYTES), unlock, newest)
    try:
        with named_faults():
            _write(store, name, source, head)
    except (Overtaken, ObjectMissing):
        # Whoever replaced it used the newest key, or will be seen by the next pass.
        return True
    return True


class Overtaken(Exception):
    """The object is not the one any more whose head was read."""


def _write(store: Bucket, name: str, source: StoredCiphertext, head: bytes) -> None:
    beginning = head + _read(source, len(head), min(source.size_bytes, PART_BYTES))
    extra = {**sealed_by_the_store(), **source.kept_as}
    try:
        if source.size_bytes <= PART_BYTES:
            store.client.put_object(
                Bucket=store.name,
                Key=name,
                Body=beginning,
                ContentType=CONTENT_TYPE,
                IfMatch=source.etag,
                **extra,
            )
        else:
            _write_parts(store, name, source, beginning, extra)
    except ClientError as fault:
        if code_of(fault) in OVERTAKEN or code_of(fault) in {"NoSuchKey", "404"}:
            raise Overtaken from fault
        raise


def _write_parts(
    store: Bucket, name: str, source: StoredCiphertext, beginning: bytes, extra: dict[str, Any]
) -> None:
    upload_id = store.client.create_multipart_upload(
        Bucket=store.name, Key=name, ContentType=CONTENT_TYPE, **extra
    )["UploadId"]
    place: dict[str, Any] = {"Bucket": store.name, "Key": name, "UploadId": upload_id}
    try:
        first = store.client.upload_part(**place, PartNumber=1, Body=beginning)
        done: list[CompletedPartTypeDef] = [{"PartNumber": 1, "ETag": first["ETag"]}]
        if "ChecksumCRC32" in first:
            done[0]["ChecksumCRC32"] = first["ChecksumCRC32"]
        for number, (start, end) in enumerate(_pieces(source.size_bytes), start=2):
            copied = store.client.upload_part_copy(
                **place,
                PartNumber=number,
                CopySource={"Bucket": store.name, "Key": name},
                CopySourceRange=f"bytes={start}-{end - 1}",
                CopySourceIfMatch=source.etag,
            )["CopyPartResult"]
            part: CompletedPartTypeDef = {"PartNumber": number, "ETag": copied["ETag"]}
            if "ChecksumCRC32" in copied:
                part["ChecksumCRC32"] = copied["ChecksumCRC32"]
            done.append(part)
        store.client.complete_multipart_upload(**place, MultipartUpload={"Parts": done}, IfMatch=source.etag)
    except BaseException:
        abandon(store, name, upload_id)
        raise


def _pieces(size_bytes: int) -> Iterator[tuple[int, int]]:
    """What is copied after the first part, in pieces from a start to before an end."""
    for start in range(PART_BYTES, size_bytes, COPIED_BYTES):
        yield start, min(start + COPIED_BYTES, size_bytes)


def _read(source: StoredCiphertext, start: int, end: int) -> bytes:
    body = source.open_at(start, end - start)
    read = bytearray()
    while chunk := body.read(end - start - len(read)):
        read += chunk
    return bytes(read)
