"""Writing a stream of unknown length to S3 in constant memory, leaving nothing behind when it fails."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from kernel.storage.client import Bucket, named_faults

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

logger = logging.getLogger(__name__)

# S3 takes 10 000 parts of at least 5 MiB: objects of up to 78 GiB.
PART_BYTES = 8 << 20
CONTENT_TYPE = "application/octet-stream"


def upload(bucket: Bucket, key: str, chunks: Iterable[bytes]) -> None:
    """Store the chunks as one object: it appears whole or not at all.

    A short object takes one request. Raises `StorageUnavailable`, and whatever `chunks` raises.
    """
    parts = gather(chunks, PART_BYTES)
    first = next(parts, b"")
    if len(first) < PART_BYTES:
        with named_faults():
            bucket.client.put_object(Bucket=bucket.name, Key=key, Body=first, ContentType=CONTENT_TYPE)
        return
    _upload_parts(bucket, key, chain([first], parts))


def gather(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in pieces of exactly `size`, the last one shorter."""
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        while len(buffer) >= size:
            yield bytes(memoryview(buffer)[:size])
            del buffer[:size]
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
        _abandon(bucket, key, upload_id)
    return len(stale)


def _upload_parts(bucket: Bucket, key: str, parts: Iterator[bytes]) -> None:
    with named_faults():
        upload_id = bucket.client.create_multipart_upload(
            Bucket=bucket.name, Key=key, ContentType=CONTENT_TYPE
        )["UploadId"]
    try:
        done = [
            _upload_part(bucket, key, upload_id, number, part) for number, part in enumerate(parts, start=1)
        ]
        with named_faults():
            bucket.client.complete_multipart_upload(
                Bucket=bucket.name, Key=key, UploadId=upload_id, MultipartUpload={"Parts": done}
            )
    except BaseException:
        # Also when the process is told to stop: parts without an object cost money and are never found.
        _abandon(bucket, key, upload_id)
        raise


def _upload_part(bucket: Bucket, key: str, upload_id: str, number: int, part: bytes) -> CompletedPartTypeDef:
    with named_faults():
        answer = bucket.client.upload_part(
            Bucket=bucket.name, Key=key, UploadId=upload_id, PartNumber=number, Body=part
        )
    completed: CompletedPartTypeDef = {"PartNumber": number, "ETag": answer["ETag"]}
    if "ChecksumCRC32" in answer:
        completed["ChecksumCRC32"] = answer["ChecksumCRC32"]
    return completed


def _abandon(bucket: Bucket, key: str, upload_id: str) -> None:
    try:
        bucket.client.abort_multipart_upload(Bucket=bucket.name, Key=key, UploadId=upload_id)
    except (ClientError, BotoCoreError):
        logger.exception("The upload %s was not dropped; the daily sweep will", upload_id)
