"""What the store is told of an object besides its bytes: locks, its version, encryption of its own."""

import io
import os
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID, uuid4

import pytest
from botocore.exceptions import ClientError
from django.conf import settings

from config.onemachine.credentials import S3_ADMIN_KEY_ID
from kernel.crypto import keys
from kernel.crypto.errors import CiphertextAltered
from kernel.storage import client, downloads, objects
from kernel.storage.errors import LockUnsupported
from kernel.storage.names import object_key
from kernel.storage.uploads import PART_BYTES

pytestmark = pytest.mark.usefixtures("stores")


@pytest.fixture
def owner() -> UUID:
    return uuid4()


def test_what_is_locked_can_be_changed_by_nobody_before_its_date(owner: UUID, stores: Any) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=120)
    for size in (60, 2 * PART_BYTES):
        content, key = os.urandom(size), object_key(owner, "audit", uuid4())
        objects.put_locked(owner, key, io.BytesIO(content), until=until)
        assert b"".join(objects.get_locked(owner, key)) == content
        locked = client.locked_bucket()
        head = locked.client.head_object(Bucket=locked.name, Key=key)
        assert (head["ObjectLockMode"], head["ObjectLockRetainUntilDate"]) == ("COMPLIANCE", until)
        administrator = client.connect(
            client.StoreSettings(
                settings.S3_ENDPOINT_URL,
                locked.name,
                S3_ADMIN_KEY_ID,
                stores.place.credentials.s3_admin_secret,
                settings.S3_REGION,
            )
        )
        for bucket in (locked, administrator):
            with pytest.raises(ClientError, match="AccessDenied"):
                bucket.client.delete_object(Bucket=bucket.name, Key=key, VersionId=head["VersionId"])
        with pytest.raises(ClientError):
            administrator.client.put_object_retention(
                Bucket=locked.name,
                Key=key,
                VersionId=head["VersionId"],
                Retention={"Mode": "COMPLIANCE", "RetainUntilDate": until - timedelta(seconds=100)},
            )


def test_without_a_bucket_for_it_nothing_can_be_locked(owner: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "S3_LOCKED_BUCKET", "")
    key = object_key(owner, "audit", uuid4())
    with pytest.raises(LockUnsupported, match="S3_LOCKED_BUCKET"):
        objects.put_locked(owner, key, io.BytesIO(b"x"), until=datetime.now(UTC))
    with pytest.raises(LockUnsupported):
        objects.get_locked(owner, key)


def test_a_version_is_found_again_by_who_does_not_know_it(owner: UUID) -> None:
    key = object_key(owner, "files", uuid4())
    objects.put(owner, key, io.BytesIO(b"content"), version="3")
    assert downloads.StoredCiphertext(client.bucket(), key).version == "3"
    with pytest.raises(CiphertextAltered):
        objects.get(owner, key)


@pytest.mark.parametrize("size", [10, 2 * PART_BYTES])
def test_the_store_is_asked_to_encrypt_once_more_where_the_operator_wants_it(
    owner: UUID, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[dict[str, str]] = []
    keys.key_for(owner)

    class Store(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.answer(
                b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
            )

        def do_PUT(self) -> None:
            self.answer(b"")

        def answer(self, content: bytes) -> None:
            sent.append({"act": f"{self.command} {self.path.partition('?')[2]}", **dict(self.headers)})
            body = self.rfile
            if self.headers.get("Transfer-Encoding") == "chunked" or "Content-Length" in self.headers:
                body.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(200)
            self.send_header("ETag", '"e"')
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Store)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(settings, "S3_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(settings, "S3_SSE_KMS_KEY_ID", "arn:aws:kms:eu-central-1:111122223333:key/x")
    try:
        objects.put(owner, object_key(owner, "files", uuid4()), io.BytesIO(bytes(size)))
    finally:
        server.shutdown()
        server.server_close()
    asked = sent[0]
    assert asked["x-amz-server-side-encryption"] == "aws:kms"
    assert asked["x-amz-server-side-encryption-aws-kms-key-id"] == settings.S3_SSE_KMS_KEY_ID
