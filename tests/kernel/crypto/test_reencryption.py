"""Re-encryption: everything under the newest key, step by step, under traffic, whatever breaks off."""

import io
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection

from kernel.crypto import keys, reencryption
from kernel.crypto.errors import CiphertextAltered, KeyDestroyed
from kernel.crypto.models import ReEncryption, ReEncryptionState
from kernel.crypto.reencryption import OldKeysInUse, Turn
from kernel.storage import client, heads, objects
from kernel.storage.names import object_key
from kernel.storage.uploads import PART_BYTES
from kernel.tenancy.scope import acting_for
from kernel.webhooks import services as webhooks
from kernel.webhooks.models import WebhookEndpoint
from tests.cast import Person

pytestmark = pytest.mark.usefixtures("stores")

SIZES = (0, 10, 3 << 20, PART_BYTES - 200, PART_BYTES, 2 * PART_BYTES + 5)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An old key may be retired as soon as nothing is under it."""
    monkeypatch.setattr(reencryption, "RETIRED_AFTER", timedelta(0))
    yield
    keys.cache.forget()


def stored(organization_id: UUID, size: int, version: str = "") -> tuple[str, bytes]:
    content, key = os.urandom(size), object_key(organization_id, "files", uuid4())
    objects.put(organization_id, key, io.BytesIO(content), version=version)
    return key, content


def begun(organization_id: UUID) -> None:
    with acting_for(organization_id):
        ReEncryption(organization_id=organization_id).save()


def finish(organization_id: UUID) -> ReEncryption:
    while reencryption.advance(organization_id, seconds=60) is Turn.MORE:
        pass
    with acting_for(organization_id):
        found = ReEncryption.objects.order_by("-pk").first()
    assert found is not None
    return found


@dataclass
class House:
    """What an organization has that is sealed: a webhook's secret, and objects by their keys."""

    owner: Person
    endpoint_id: UUID
    secret: str
    contents: dict[str, bytes]

    def is_whole(self) -> None:
        self.objects_are_whole()
        with self.owner.acting():
            assert WebhookEndpoint.objects.get(pk=self.endpoint_id).secret == self.secret

    def objects_are_whole(self) -> None:
        for key, content in list(self.contents.items()):
            assert b"".join(objects.get(self.owner.organization.pk, key)) == content

    def keys_of_objects(self) -> set[UUID | None]:
        return {heads.key_of(client.bucket(), key) for key in self.contents}


def furnished(person: Person, sizes: Sequence[int] = SIZES) -> House:
    with person.acting():
        made = webhooks.create_webhook("https://customer.example/hook", ["*"])
    contents = dict(stored(person.organization.pk, size) for size in sizes)
    return House(person, made.endpoint.pk, made.secret, contents)


def test_everything_gets_under_the_newest_key_and_the_old_one_is_retired(
    owner: Person, at_once: None
) -> None:
    organization_id = owner.organization.pk
    house = furnished(owner)
    old = keys.key_for(organization_id)
    keys.rotate_key(organization_id)
    house.is_whole()
    assert reencryption.values_under_older_keys(organization_id) >= 1
    with pytest.raises(OldKeysInUse, match="re-encrypt them first"):
        reencryption.retire_older_keys(organization_id)
    begun(organization_id)
    job = finish(organization_id)
    assert (job.state, job.left_in_pass, job.unreadable) == (ReEncryptionState.DONE, 0, 0)
    assert job.passes == 2
    assert job.moved >= len(house.contents) + 1
    assert reencryption.values_under_older_keys(organization_id) == 0
    assert house.keys_of_objects() == {keys.key_for(organization_id).key_id}
    assert reencryption.retire_older_keys(organization_id) == 1
    keys.cache.forget(organization_id)
    house.is_whole()
    with pytest.raises(KeyDestroyed):
        keys.finder(organization_id)(old.key_id)


def test_a_key_that_is_not_a_day_old_retires_none(owner: Person) -> None:
    keys.key_for(owner.organization.pk)
    assert reencryption.retire_older_keys(owner.organization.pk) == 0
    keys.rotate_key(owner.organization.pk)
    with pytest.raises(OldKeysInUse, match="not a day old"):
        reencryption.retire_older_keys(owner.organization.pk)


def test_rotation_writes_no_object_anew(owner: Person) -> None:
    key, _ = stored(owner.organization.pk, 100)
    store = client.bucket()
    before = store.client.head_object(Bucket=store.name, Key=key)
    keys.rotate_key(owner.organization.pk)
    after = store.client.head_object(Bucket=store.name, Key=key)
    assert (before["ETag"], before["LastModified"]) == (after["ETag"], after["LastModified"])


@pytest.mark.parametrize("size", [3 << 20, 2 * PART_BYTES + 5])
def test_who_reads_an_object_while_its_head_is_exchanged_goes_on(owner: Person, size: int) -> None:
    organization_id = owner.organization.pk
    key, content = stored(organization_id, size, version="7")
    reading = objects.get(organization_id, key, version="7")
    file = objects.open_object(organization_id, key, version="7")
    beginning, head = next(reading), file.read(100)
    keys.rotate_key(organization_id)
    assert heads.exchange(client.bucket(), organization_id, key)
    assert not heads.exchange(client.bucket(), organization_id, key)
    assert beginning + b"".join(reading) == content
    assert head + file.read() == content
    assert b"".join(objects.get(organization_id, key, version="7")) == content


def test_an_object_that_is_deleted_or_replaced_meanwhile_is_not_brought_back(
    owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    organization_id = owner.organization.pk
    honest = heads._write
    for size in (100, 2 * PART_BYTES):
        (gone, _), (replaced, _) = stored(organization_id, size), stored(organization_id, size)
        keys.rotate_key(organization_id)

        def meanwhile(store: Any, name: str, *rest: Any, gone: str = gone, size: int = size) -> None:
            if name == gone:
                objects.delete(organization_id, name)
            else:
                objects.put(organization_id, name, io.BytesIO(b"n" * size))
            honest(store, name, *rest)

        with monkeypatch.context() as patch:
            patch.setattr(heads, "_write", meanwhile)
            for name in (gone, replaced):
                heads.exchange(client.bucket(), organization_id, name)
        assert not objects.exists(organization_id, gone)
        assert b"".join(objects.get(organization_id, replaced)) == b"n" * size
    uploads = client.bucket().client.list_multipart_uploads(
        Bucket=client.bucket().name, Prefix=f"organizations/{organization_id}/"
    )
    assert uploads.get("Uploads", []) == []


class Killed(BaseException):
    """The process ends here."""


PLACES: list[tuple[Any, str]] = [
    (heads, "list_after"),
    (heads, "exchange"),
    (heads, "_write"),
    (heads, "_write_parts"),
    (reencryption, "_reseal"),
    (reencryption, "_note"),
]


@pytest.mark.parametrize("where", range(len(PLACES)))
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_job_that_is_killed_anywhere_goes_on(
    owner: Person, where: int, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    organization_id = owner.organization.pk
    house = furnished(owner, (10, 2 * PART_BYTES + 5, 2 * PART_BYTES))
    keys.rotate_key(organization_id)
    begun(organization_id)
    module, name = PLACES[where]
    honest: Callable[..., Any] = getattr(module, name)
    calls = 0

    def killing(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls != 2:
            return honest(*args, **kwargs)
        if when == "after":
            honest(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(module, name, killing)
        try:
            finish(organization_id)
        except Killed:
            assert organization_id in {one for one, _ in reencryption.waiting()}
    house.is_whole()
    assert finish(organization_id).state == ReEncryptionState.DONE
    house.is_whole()
    assert reencryption.values_under_older_keys(organization_id) == 0
    assert house.keys_of_objects() == {keys.key_for(organization_id).key_id}


def test_two_processes_do_not_work_on_the_same_job(owner: Person) -> None:
    organization_id = owner.organization.pk
    begun(organization_id)
    assert reencryption._lease(organization_id) is not None
    assert reencryption.advance(organization_id, seconds=1) is Turn.IDLE
    assert organization_id not in {one for one, _ in reencryption.waiting()}


def test_a_damaged_object_is_counted_and_does_not_stop_the_job(owner: Person, at_once: None) -> None:
    organization_id = owner.organization.pk
    (damaged, _), (whole, content) = stored(organization_id, 100), stored(organization_id, 100)
    store = client.bucket()
    raw = bytearray(store.client.get_object(Bucket=store.name, Key=damaged)["Body"].read())
    raw[50] ^= 1
    store.client.put_object(Bucket=store.name, Key=damaged, Body=bytes(raw))
    keys.rotate_key(organization_id)
    begun(organization_id)
    job = finish(organization_id)
    assert (job.state, job.unreadable) == (ReEncryptionState.DONE, 1)
    assert b"".join(objects.get(organization_id, whole)) == content
    with pytest.raises(CiphertextAltered):
        objects.get(organization_id, damaged)
    with pytest.raises(OldKeysInUse):
        reencryption.retire_older_keys(organization_id)


def test_locked_objects_are_brought_along_and_stay_locked(owner: Person) -> None:
    organization_id, key = owner.organization.pk, object_key(owner.organization.pk, "audit", uuid4())
    until = in_a_while()
    objects.put_locked(organization_id, key, io.BytesIO(b"sealed"), until=until)
    keys.rotate_key(organization_id)
    begun(organization_id)
    finish(organization_id)
    store = client.locked_bucket()
    assert heads.key_of(store, key) == keys.key_for(organization_id).key_id
    head = store.client.head_object(Bucket=store.name, Key=key)
    assert head["ObjectLockRetainUntilDate"] == until
    assert b"".join(objects.get_locked(organization_id, key)) == b"sealed"


def in_a_while() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=90)


def test_traffic_goes_on_while_keys_are_rotated_and_everything_is_re_encrypted(
    owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    organization_id, ended = owner.organization.pk, threading.Event()
    house = furnished(owner, (10, 2 * PART_BYTES + 5, 3 << 20))
    faults: list[Exception] = []
    rounds: list[int] = []
    monkeypatch.setattr(reencryption, "OBJECTS_AT_ONCE", 3)

    def work() -> None:
        house.objects_are_whole()
        house.contents.update([stored(organization_id, 5000)])
        with owner.acting():
            row = WebhookEndpoint.objects.get(pk=house.endpoint_id)
            webhooks.rotate_secret(row, overlap=timedelta(hours=1))
        rounds.append(len(house.contents))

    def read_and_write() -> None:
        try:
            while not ended.is_set():
                work()
        except Exception as fault:
            faults.append(fault)
        finally:
            connection.close()

    traffic = [threading.Thread(target=read_and_write) for _ in range(2)]
    for thread in traffic:
        thread.start()
    for _ in range(2):
        keys.rotate_key(organization_id)
        begun(organization_id)
        assert finish(organization_id).state == ReEncryptionState.DONE
    ended.set()
    for thread in traffic:
        thread.join()
    assert faults == []
    assert rounds
    house.objects_are_whole()
    with owner.acting():
        assert WebhookEndpoint.objects.get(pk=house.endpoint_id).secret.startswith("whsec_")
