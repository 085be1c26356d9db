"""The S3 client: one for each set of settings, shared by threads, patient with a slow store."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from kernel.storage.errors import LockUnsupported, ObjectMissing, StorageUnavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

logger = logging.getLogger(__name__)

MISSING = frozenset({"NoSuchKey", "404", "NotFound"})
CONNECT_TIMEOUT_SECONDS = 3
READ_TIMEOUT_SECONDS = 30
ATTEMPTS = 4


@dataclass(frozen=True)
class StoreSettings:
    """Where the object store is and how to sign in to it."""

    endpoint_url: str
    bucket: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    region: str


@dataclass(frozen=True)
class Bucket:
    """A client with the bucket it works on."""

    client: S3Client
    name: str


@lru_cache(maxsize=8)
def connect(store: StoreSettings) -> Bucket:
    """The client for a store; makes no request."""
    config = Config(
        s3={"addressing_style": "path"},
        signature_version="s3v4",
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=32,
        tcp_keepalive=True,
        request_checksum_calculation="when_supported",
        # The checksum of a multipart object covers its parts' checksums; AEAD verifies what is read.
        response_checksum_validation="when_required",
    )
    client = boto3.client(
        "s3",
        endpoint_url=store.endpoint_url,
        aws_access_key_id=store.access_key_id,
        aws_secret_access_key=store.secret_access_key,
        region_name=store.region,
        config=config,
    )
    return Bucket(client, store.bucket)


def bucket() -> Bucket:
    """The bucket that the settings name."""
    return connect(
        StoreSettings(
            endpoint_url=settings.S3_ENDPOINT_URL,
            bucket=settings.S3_BUCKET,
            access_key_id=settings.S3_ACCESS_KEY_ID,
            secret_access_key=settings.S3_SECRET_ACCESS_KEY,
            region=settings.S3_REGION,
        )
    )


def locked_bucket() -> Bucket:
    """The bucket whose objects are locked for a time. Raises `LockUnsupported` where there is none."""
    if not settings.S3_LOCKED_BUCKET:
        raise LockUnsupported
    return Bucket(bucket().client, settings.S3_LOCKED_BUCKET)


@contextmanager
def named_faults() -> Iterator[None]:
    """Turn what boto3 raises into `ObjectMissing` and `StorageUnavailable`; the cause is logged and kept."""
    try:
        yield
    except ClientError as fault:
        if code_of(fault) in MISSING:
            raise ObjectMissing from fault
        logger.error("The object store refused %s: %s", fault.operation_name, code_of(fault))
        raise StorageUnavailable from fault
    except BotoCoreError as fault:
        logger.error("The object store does not answer: %s", fault)
        raise StorageUnavailable from fault


def code_of(fault: ClientError) -> str:
    """S3's error code, for example `NoSuchKey`."""
    return str(fault.response.get("Error", {}).get("Code", ""))
