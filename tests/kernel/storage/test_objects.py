"""The object store over HTTP against the real S3 server: what is stored is safe there, whole and private."""

import io
import os
import tracemalloc
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import pytest
from botocore.exceptions import ResponseStreamingError
from botocore.response import StreamingBody
from django.conf import settings

from config.onemachine.credentials import S3_ADMIN_KEY_ID
from kernel.crypto import keys
from kernel.crypto.errors import CiphertextAltered, KeyDestroyed
from kernel.storage import client, downloads, objects
from kernel.storage.errors import ForeignObjectKey, ObjectMissing, StorageUnavailable
from kernel.storage.names import object_key, prefix_of
from kernel.storage.uploads import PART_BYTES

pytestmark = pytest.mark.usefixtures("stores")

MEBIBYTE = 1 << 20


class Pattern:
    """A stream of any size that takes no memory: 1 MiB of random bytes over and over."""

    def __init__(self, size: int, *, breaks_at: int | None = None) -> None:
        self.block = os.urandom(MEBIBYTE)
        self._size = size
        self._breaks_at = breaks_at
        self._position = 0

    def read(self, size: int, /) -> bytes:
        if self._breaks_at is not None and self._position >= self._breaks_at:
            raise ConnectionResetError("the sender went away")
        offset = self._position % MEBIBYTE
        chunk = self.block[offset : offset + min(size, self._size - self._position)]
        self._position += len(chunk)
        return chunk


@pytest.fixture
def owner() -> Iterator[UUID]:
    organization_id = uuid4()
    yield organization_id
    _sweep(organization_id)


@pytest.fixture
def stranger() -> Iterator[UUID]:
    organization_id = uuid4()
    yield organization_id
    _sweep(organization_id)


def _sweep(organization_id: UUID) -> None:
    store = client.bucket()
    listing = store.client.list_objects_v2(Bucket=store.name, Prefix=prefix_of(organization_id))
    for entry in listing.get("Contents", []):
        store.client.delete_object(Bucket=store.name, Key=entry["Key"])


def stored(organization_id: UUID, content: bytes, *, version: str = "") -> str:
    key = object_key(organization_id, "files", uuid4())
    objects.put(organization_id, key, io.BytesIO(content), version=version)
    return key


def content_of(organization_id: UUID, key: str) -> bytes:
    return b"".join(objects.get(organization_id, key))


def raw(key: str) -> bytes:
    store = client.bucket()
    return store.client.get_object(Bucket=store.name, Key=key)["Body"].read()


def overwrite_raw(key: str, content: bytes) -> None:
    store = client.bucket()
    store.client.put_object(Bucket=store.name, Key=key, Body=content)


def unfinished_uploads(organization_id: UUID) -> list[Any]:
    store = client.bucket()
    answer = store.client.list_multipart_uploads(Bucket=store.name, Prefix=prefix_of(organization_id))
    return list(answer.get("Uploads", []))


@pytest.mark.parametrize(
    "size", [0, 1, 60_000, MEBIBYTE - 1, MEBIBYTE, MEBIBYTE + 1, 3 * MEBIBYTE, PART_BYTES + 5]
)
def test_what_is_put_comes_back(owner: UUID, size: int) -> None:
    content = os.urandom(size)
    key = object_key(owner, "files", uuid4())
    answer = objects.put(owner, key, io.BytesIO(content))
    assert answer == objects.StoredObject(key, size, sha256(content).hexdigest())
    assert objects.exists(owner, key)
    assert content_of(owner, key) == content


def test_a_deleted_object_is_missing_and_deleting_again_is_no_fault(owner: UUID) -> None:
    key = stored(owner, b"content")
    objects.delete(owner, key)
    objects.delete(owner, key)
    assert not objects.exists(owner, key)
    with pytest.raises(ObjectMissing):
        objects.get(owner, key)


def test_a_key_of_another_organization_is_not_found_by_any_door(owner: UUID, stranger: UUID) -> None:
    key = stored(owner, b"content")
    doors: list[Callable[[], object]] = [
        lambda: objects.put(stranger, key, io.BytesIO(b"mine")),
        lambda: objects.get(stranger, key),
        lambda: objects.get_range(stranger, key, 0, 1),
        lambda: objects.open_object(stranger, key),
        lambda: objects.exists(stranger, key),
        lambda: objects.delete(stranger, key),
    ]
    for door in doors:
        with pytest.raises(ForeignObjectKey):
            door()
    assert content_of(owner, key) == b"content"


def test_objects_swapped_within_an_organization_are_noticed(owner: UUID) -> None:
    first, second = stored(owner, b"first"), stored(owner, b"other")
    one, two = raw(first), raw(second)
    overwrite_raw(first, two)
    overwrite_raw(second, one)
    for key in (first, second):
        with pytest.raises(CiphertextAltered):
            objects.get(owner, key)


def test_an_object_copied_to_another_organization_is_noticed(owner: UUID, stranger: UUID) -> None:
    mine, theirs = stored(owner, b"mine"), stored(stranger, b"theirs")
    overwrite_raw(theirs, raw(mine))
    with pytest.raises(CiphertextAltered):
        objects.get(stranger, theirs)


def test_another_version_of_the_same_object_is_noticed(owner: UUID) -> None:
    key = stored(owner, b"old", version="1")
    old = raw(key)
    objects.put(owner, key, io.BytesIO(b"new"), version="2")
    overwrite_raw(key, old)
    with pytest.raises(CiphertextAltered):
        objects.get(owner, key, version="2")


def test_altered_cut_and_emptied_objects_are_noticed(owner: UUID) -> None:
    key = stored(owner, os.urandom(3 * MEBIBYTE))
    whole = raw(key)
    flipped = whole[:-1] + bytes([whole[-1] ^ 1])
    for altered in (flipped, whole[:-1], whole[: 2 * MEBIBYTE], whole[:50], whole + b"x", b"x", b""):
        overwrite_raw(key, altered)
        with pytest.raises(CiphertextAltered):
            content_of(owner, key)


def test_a_range_reads_the_same_slice(owner: UUID) -> None:
    content = os.urandom(5 * MEBIBYTE + 17)
    key = stored(owner, content)
    for start, length in ((0, 10), (MEBIBYTE - 1, 2), (2_500_000, 2 * MEBIBYTE), (len(content) - 5, 50)):
        piece = b"".join(objects.get_range(owner, key, start, length))
        assert piece == content[start : start + length]
    assert list(objects.get_range(owner, key, len(content), 10)) == []


def test_the_store_never_sees_plaintext(owner: UUID, stores: Any) -> None:
    marker = b"a secret that must not be found " + os.urandom(16).hex().encode()
    key = stored(owner, marker * 40_000)
    small = stored(owner, marker)
    assert content_of(owner, small) == marker
    searched = 0
    for path in stores.place.layout.s3.rglob("*"):
        if path.is_file():
            on_disk = path.read_bytes()
            searched += len(on_disk)
            assert marker not in on_disk
            assert marker[-32:] not in on_disk
    assert searched > len(marker) * 40_000
    assert marker not in raw(key)


def test_a_large_object_goes_through_in_flat_memory(owner: UUID) -> None:
    size = 64 * MEBIBYTE
    key = object_key(owner, "files", uuid4())
    source = Pattern(size)
    keys.key_for(owner)
    # boto3's own descriptions of S3 are read once and stay.
    objects.probe()
    tracemalloc.start()
    try:
        assert objects.put(owner, key, source).bytes == size
        _, peak_of_put = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        for chunk in objects.get(owner, key):
            assert chunk == source.block
        _, peak_of_get = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_of_put < 8 * PART_BYTES
    assert peak_of_get < 6 * MEBIBYTE


@pytest.mark.parametrize("breaks_at", [0, 10, PART_BYTES + MEBIBYTE, 3 * PART_BYTES])
def test_an_upload_that_breaks_off_leaves_nothing(owner: UUID, breaks_at: int) -> None:
    key = object_key(owner, "files", uuid4())
    with pytest.raises(ConnectionResetError):
        objects.put(owner, key, Pattern(4 * PART_BYTES, breaks_at=breaks_at))
    assert not objects.exists(owner, key)
    assert unfinished_uploads(owner) == []


def test_the_sweep_drops_what_a_dead_process_left(owner: UUID) -> None:
    store = client.bucket()
    key = object_key(owner, "files", uuid4())
    store.client.create_multipart_upload(Bucket=store.name, Key=key)
    assert objects.abandon_uploads(older_than_hours=1) == 0
    assert len(unfinished_uploads(owner)) == 1
    assert objects.abandon_uploads(older_than_hours=-1) >= 1
    assert unfinished_uploads(owner) == []


def test_a_read_goes_on_where_the_connection_broke(owner: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    content = os.urandom(4 * MEBIBYTE)
    key = stored(owner, content)
    honest = downloads.StoredCiphertext.request
    requests: list[int] = []

    class Breaking:
        def __init__(self, body: Any) -> None:
            self._body = body

        def read(self, size: int) -> bytes:
            if len(requests) <= 2 and self._body.tell() > MEBIBYTE:
                raise ResponseStreamingError(error="connection broken")
            return bytes(self._body.read(min(size, 300_000)))

        def close(self) -> None:
            self._body.close()

    def request(self: downloads.StoredCiphertext, start: int, end: int) -> Any:
        requests.append(start)
        return Breaking(honest(self, start, end))

    monkeypatch.setattr(downloads.StoredCiphertext, "request", request)
    assert b"".join(objects.get_range(owner, key, 0, len(content))) == content
    assert len(requests) == 3
    assert requests == sorted(set(requests))


def test_a_whole_read_takes_one_request_and_goes_on_where_it_broke(
    owner: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = os.urandom(4 * MEBIBYTE)
    key = stored(owner, content)
    honest = downloads.StoredCiphertext.request
    requests: list[int] = []

    def request(self: downloads.StoredCiphertext, start: int, end: int) -> Any:
        requests.append(start)
        return honest(self, start, end)

    monkeypatch.setattr(downloads.StoredCiphertext, "request", request)
    assert content_of(owner, key) == content
    assert requests == []
    chunks = objects.get(owner, key)
    beginning, read = next(chunks), StreamingBody.read
    broken: list[int] = []

    def breaking(self: StreamingBody, size: int | None = None) -> bytes:
        if not broken:
            broken.append(1)
            raise ResponseStreamingError(error="connection broken")
        return read(self, size)

    monkeypatch.setattr(StreamingBody, "read", breaking)
    assert beginning + b"".join(chunks) == content
    assert len(requests) == 1


def test_an_object_replaced_while_it_is_read_is_never_mixed(owner: UUID) -> None:
    content = os.urandom(3 * MEBIBYTE)
    key = stored(owner, content)
    whole, in_ranges = objects.get(owner, key), objects.get_range(owner, key, 0, len(content))
    objects.put(owner, key, io.BytesIO(os.urandom(3 * MEBIBYTE)))
    # The one has its answer under way already; the other would have to ask for it.
    assert b"".join(whole) == content
    with pytest.raises(CiphertextAltered):
        b"".join(in_ranges)


def test_a_store_that_is_not_there_is_named_and_can_be_tried_again(
    owner: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ATTEMPTS", 1)
    monkeypatch.setattr(settings, "S3_ENDPOINT_URL", "http://127.0.0.1:9")
    key = object_key(owner, "files", uuid4())
    acts: list[Callable[[], object]] = [
        lambda: objects.put(owner, key, io.BytesIO(b"x")),
        lambda: objects.put(owner, key, Pattern(2 * PART_BYTES)),
        lambda: objects.get(owner, key),
        lambda: objects.exists(owner, key),
        lambda: objects.delete(owner, key),
        objects.ensure_bucket,
        objects.probe,
    ]
    for act in acts:
        with pytest.raises(StorageUnavailable) as fault:
            act()
        assert fault.value.status == 503
        assert fault.value.retry_after_seconds


def test_a_wrong_password_is_unavailable_and_not_missing(
    owner: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = stored(owner, b"content")
    monkeypatch.setattr(settings, "S3_SECRET_ACCESS_KEY", "a wrong one")
    with pytest.raises(StorageUnavailable):
        objects.get(owner, key)
    with pytest.raises(StorageUnavailable):
        objects.exists(owner, key)


def test_the_bucket_is_made_once_however_often_it_is_asked_for(
    stores: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects.ensure_bucket()
    monkeypatch.setattr(settings, "S3_BUCKET", name := f"made-{uuid4().hex[:12]}")
    monkeypatch.setattr(settings, "S3_ACCESS_KEY_ID", S3_ADMIN_KEY_ID)
    monkeypatch.setattr(settings, "S3_SECRET_ACCESS_KEY", stores.place.credentials.s3_admin_secret)
    with pytest.raises(StorageUnavailable):
        objects.probe()
    try:
        objects.ensure_bucket()
        objects.ensure_bucket()
        objects.probe()
    finally:
        client.bucket().client.delete_bucket(Bucket=name)


def test_a_store_that_dies_within_an_upload_keeps_no_half_object(owner: UUID, stores: Any) -> None:
    before = stored(owner, b"stored before")
    key = object_key(owner, "files", uuid4())

    class Killing(Pattern):
        def read(self, size: int, /) -> bytes:
            if self._position == 2 * PART_BYTES:
                stores.stop("s3")
            return super().read(size)

    try:
        with pytest.raises(StorageUnavailable):
            objects.put(owner, key, Killing(4 * PART_BYTES))
    finally:
        stores.start("s3")
    assert content_of(owner, before) == b"stored before"
    assert not objects.exists(owner, key)
    objects.abandon_uploads(older_than_hours=-1)
    assert unfinished_uploads(owner) == []


def test_nothing_can_be_read_once_the_keys_are_destroyed_even_from_a_copy(owner: UUID) -> None:
    key = stored(owner, b"content")
    backup = raw(key)
    keys.destroy_keys(owner)
    overwrite_raw(key, backup)
    with pytest.raises(KeyDestroyed):
        objects.get(owner, key)
    with pytest.raises(KeyDestroyed):
        objects.put(owner, object_key(owner, "files", uuid4()), io.BytesIO(b"x"))
