"""Writing a stream of unknown length to S3 in constant memory, leaving nothing behind when it fails."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from kernel.storage.client import Bucket, named_faults

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

logger = logging.getLogger(__name__)
Extra = dict[str, Any]

# S3 takes 10 000 parts of at least 5 MiB: objects of up to 78 GiB.
PART_BYTES = 8 << 20
# While they are sent, the next one is made: an upload holds about two parts more than these in memory.
PARTS_AT_ONCE = 4
CONTENT_TYPE = "application/octet-stream"


def upload(bucket: Bucket, key: str, chunks: Iterable[bytes], **extra: Any) -> None:
    """Store the chunks as one object: it appears whole or not at all.

    A short object takes one request. `extra` is said to the store of the object as a whole (its metadata,
    how long it is locked). Raises `StorageUnavailable`, and whatever `chunks` raises.
    """
    extra = {**sealed_by_the_store(), **extra}
    parts = gather(chunks, PART_BYTES)
    first = next(parts, b"")
    if len(first) < PART_BYTES:
        with named_faults():
            bucket.client.put_object(
                Bucket=bucket.name, Key=key, Body=first, ContentType=CONTENT_TYPE, **extra
            )
        return
    _upload_parts(bucket, key, chain([first], parts), extra)


def sealed_by_the_store() -> Extra:
    """What asks the store to encrypt once more under a key of AWS KMS, where the operator wants that."""
    if not settings.S3_SSE_KMS_KEY_ID:
        return {}
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": settings.S3_SSE_KMS_KEY_ID}


def gather(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in pieces of exactly `size`, the last one shorter."""
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        while len(buffer) >= size:
            piece = bytes(memoryview(buffer)[:size])
            # Before the piece is given out: nothing is held twice while it is sent.
            del buffer[:size]
            yield piece
    if buffer:
        yield bytes(buffer)


def abandon_stale_uploads(bucket: Bucket, *, older_than_hours: float) -> int:
    """Drop the parts of uploads whose process died; answers how many uploads that were."""
    limit = datetime.now(UTC) - timedelta(hours=older_than_hours)
    with named_faults():
        pages = bucket.client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket.name)
        stale = [
            (upload["Key"], upload["UploadId"])
            for page in pages
            for upload in page.get("Uploads", [])
            if upload["Initiated"] < limit
        ]
    for key, upload_id in stale:
        abandon(bucket, key, upload_id)
    return len(stale)


def _upload_parts(bucket: Bucket, key: str, parts: Iterator[bytes], extra: Extra) -> None:
    with named_faults():
        upload_id = bucket.client.create_multipart_upload(
            Bucket=bucket.name, Key=key, ContentType=CONTENT_TYPE, **extra
        )["UploadId"]
    try:
        done = _sent_side_by_side(bucket, key, upload_id, parts)
        with named_faults():
            bucket.client.complete_multipart_upload(
                Bucket=bucket.name, Key=key, UploadId=upload_id, MultipartUpload={"Parts": done}
            )
    except BaseException:
        # Also when the process is told to stop: parts without an object cost money and are never found.
        abandon(bucket, key, upload_id)
        raise


def _sent_side_by_side(
    bucket: Bucket, key: str, upload_id: str, parts: Iterator[bytes]
) -> list[CompletedPartTypeDef]:
    """Send parts while the next ones are still read, hashed and encrypted; at most so many at a time."""
    done: list[CompletedPartTypeDef] = []
    with ThreadPoolExecutor(max_workers=PARTS_AT_ONCE, thread_name_prefix="upload") as senders:
        under_way: deque[Future[CompletedPartTypeDef]] = deque()
        try:
            for number, part in enumerate(parts, start=1):
                under_way.append(senders.submit(_upload_part, bucket, key, upload_id, number, part))
                del part
                if len(under_way) >= PARTS_AT_ONCE:
                    done.append(under_way.popleft().result())
            done.extend(sent.result() for sent in under_way)
        finally:
            for sent in under_way:
                sent.cancel()
    return done


def _upload_part(bucket: Bucket, key: str, upload_id: str, number: int, part: bytes) -> CompletedPartTypeDef:
    with named_faults():
        answer = bucket.client.upload_part(
            Bucket=bucket.name, Key=key, UploadId=upload_id, PartNumber=number, Body=part
        )
    completed: CompletedPartTypeDef = {"PartNumber": number, "ETag": answer["ETag"]}
    if "ChecksumCRC32" in answer:
        completed["ChecksumCRC32"] = answer["ChecksumCRC32"]
    return completed


def abandon(bucket: Bucket, key: str, upload_id: str) -> None:
    """Drop the parts of an upload that failed."""
    try:
        bucket.client.abort_multipart_upload(Bucket=bucket.name, Key=key, UploadId=upload_id)
    except (ClientError, BotoCoreError):
        logger.exception("The upload %s was not dropped; the daily sweep will", upload_id)
