"""The keys of organizations: one each, made once, cached for minutes, destroyed for good."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from kernel.crypto import keys
from kernel.crypto.errors import CiphertextAltered, KeyDestroyed, KeyUnavailable
from kernel.crypto.keyring import KeyProvider, WrappedKey
from kernel.crypto.models import OrganizationKey
from kernel.crypto.values import KeyEncryptionKey
from kernel.tenancy.scope import acting_for

pytestmark = pytest.mark.usefixtures("stores")


@pytest.fixture
def organization_id() -> Iterator[UUID]:
    organization_id = uuid4()
    yield organization_id
    keys.cache.forget(organization_id)


class Unreachable:
    """A key provider that does not answer."""

    def wrap(self, key: bytes, context: Mapping[str, str]) -> WrappedKey:
        raise KeyUnavailable

    def unwrap(self, wrapped: WrappedKey, context: Mapping[str, str]) -> bytes:
        raise KeyUnavailable


def _unreachable() -> KeyProvider:
    return Unreachable()


def rows_of(organization_id: UUID) -> list[OrganizationKey]:
    with acting_for(organization_id):
        return list(OrganizationKey.objects.order_by("version"))


def test_the_first_use_makes_the_key_and_later_uses_find_it(organization_id: UUID) -> None:
    key = keys.key_for(organization_id)
    assert keys.key_for(organization_id) == key
    keys.cache.forget(organization_id)
    assert keys.key_for(organization_id) == key
    assert keys.finder(organization_id)(key.key_id) == key
    assert [row.id for row in rows_of(organization_id)] == [key.key_id]


def test_the_database_never_holds_the_key_itself(organization_id: UUID) -> None:
    key = keys.key_for(organization_id)
    (row,) = rows_of(organization_id)
    assert key.secret not in bytes(row.wrapped_key)
    assert row.provider_key_id.startswith("local:")


def test_many_at_once_agree_on_one_key(organization_id: UUID) -> None:
    def use_first(_: int) -> UUID:
        try:
            return keys._unwrap(keys._newest(organization_id) or keys._create_first(organization_id)).key_id
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=8) as pool:
        found = set(pool.map(use_first, range(16)))
    assert len(found) == 1
    assert [row.id for row in rows_of(organization_id)] == list(found)


def test_a_rolled_back_transaction_does_not_lose_the_key_that_it_made(organization_id: UUID) -> None:
    with acting_for(organization_id):
        key = keys.key_for(organization_id)
        transaction.set_rollback(True)
    keys.cache.forget(organization_id)
    assert keys.finder(organization_id)(key.key_id) == key


def test_the_transaction_that_needed_the_key_goes_on(organization_id: UUID) -> None:
    with acting_for(organization_id):
        key = keys.key_for(organization_id)
        assert [row.id for row in OrganizationKey.objects.all()] == [key.key_id]


def test_a_stranger_does_not_find_the_key(organization_id: UUID) -> None:
    key = keys.key_for(organization_id)
    with pytest.raises(CiphertextAltered):
        keys.finder(uuid4())(key.key_id)


def test_a_wrapped_key_copied_to_another_organization_does_not_unwrap(organization_id: UUID) -> None:
    keys.key_for(organization_id)
    (row,) = rows_of(organization_id)
    stranger = uuid4()
    with acting_for(stranger):
        OrganizationKey(version=1, wrapped_key=row.wrapped_key, provider_key_id=row.provider_key_id).save()
    with pytest.raises(CiphertextAltered):
        keys.key_for(stranger)


def test_a_cached_key_serves_five_minutes_without_its_provider_and_no_longer(
    organization_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = keys.key_for(organization_id)
    now = time.monotonic()
    monkeypatch.setattr(keys, "provider", _unreachable)
    monkeypatch.setattr(keys.cache, "clock", lambda: now + 290)
    assert keys.key_for(organization_id) == key
    monkeypatch.setattr(keys.cache, "clock", lambda: now + 301)
    with pytest.raises(KeyUnavailable):
        keys.key_for(organization_id)
    monkeypatch.undo()
    assert keys.key_for(organization_id) == key


def test_a_key_that_cannot_be_wrapped_is_not_stored(
    organization_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "provider", _unreachable)
    with pytest.raises(KeyUnavailable):
        keys.key_for(organization_id)
    assert rows_of(organization_id) == []


def test_a_destroyed_key_is_gone_and_no_new_one_is_made(organization_id: UUID) -> None:
    key = keys.key_for(organization_id)
    keys.finder(organization_id)(key.key_id)
    assert keys.destroy_keys(organization_id) == 1
    with pytest.raises(KeyDestroyed):
        keys.key_for(organization_id)
    with pytest.raises(KeyDestroyed):
        keys.finder(organization_id)(key.key_id)
    (row,) = rows_of(organization_id)
    assert bytes(row.wrapped_key) == b""
    assert row.destroyed_at is not None
    assert keys.destroy_keys(organization_id) == 0


def test_an_organization_without_a_key_can_be_closed_for_ever_too(organization_id: UUID) -> None:
    assert keys.destroy_keys(organization_id) == 1
    with pytest.raises(KeyDestroyed):
        keys.key_for(organization_id)


def test_the_newest_version_seals_and_the_older_ones_still_open(organization_id: UUID) -> None:
    old = keys.key_for(organization_id)
    context = {"organization_id": str(organization_id), "key_id": str(new_id := uuid4())}
    wrapped = keys.provider().wrap(b"n" * 32, context)
    with acting_for(organization_id):
        OrganizationKey(
            id=new_id, version=2, wrapped_key=wrapped.ciphertext, provider_key_id=wrapped.provider_key_id
        ).save()
    keys.cache.forget(organization_id)
    assert keys.key_for(organization_id).key_id == new_id
    assert keys.finder(organization_id)(old.key_id) == old


def test_the_database_refuses_a_destroyed_key_that_still_has_bytes(organization_id: UUID) -> None:
    keys.key_for(organization_id)
    (row,) = rows_of(organization_id)
    with pytest.raises(DatabaseError), acting_for(organization_id), transaction.atomic():
        OrganizationKey.objects.update(wrapped_key=b"")
    assert rows_of(organization_id)[0].wrapped_key == row.wrapped_key


def test_a_full_cache_starts_anew_instead_of_growing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "MAX_CACHED", 3)
    cache = keys.KeyCache()
    places = [uuid4() for _ in range(4)]
    for place in places:
        cache.put(place, None, KeyEncryptionKey(place, b""))
    assert [cache.get(place, None) is not None for place in places] == [False, False, False, True]
