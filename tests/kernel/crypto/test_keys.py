"""The keys of organizations: one each, made once, cached for minutes, destroyed for good."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from kernel.crypto import cache as caching
from kernel.crypto import keys, renewal, wrapping
from kernel.crypto.errors import CiphertextAltered, KeyDestroyed, KeyRefused, KeyUnavailable
from kernel.crypto.models import OrganizationKey
from kernel.crypto.providers import chosen
from kernel.crypto.providers.interface import Context, KeyProvider
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

    def make_root(self, name: str) -> str:
        raise KeyUnavailable

    def destroy_root(self, root: str) -> None:
        raise KeyUnavailable

    def wrap(self, root: str, key: bytes, context: Context) -> bytes:
        raise KeyUnavailable

    def unwrap(self, root: str, wrapped: bytes, context: Context) -> bytes:
        raise KeyUnavailable


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
            return keys._newest_or_first(organization_id, keys.CONTENT).key_id
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=8) as pool:
        found = set(pool.map(use_first, range(16)))
    assert len(found) == 1
    assert [row.id for row in rows_of(organization_id)] == list(found)


@pytest.fixture
def after_the_first_look(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Has something happen right after the newest key was next looked for."""

    def arrange(meanwhile: Callable[[], object]) -> None:
        look, waiting = keys.newest, [meanwhile]

        def looking(organization_id: UUID, purpose: str) -> OrganizationKey | None:
            row = look(organization_id, purpose)
            if waiting:
                waiting.pop()()
            return row

        monkeypatch.setattr(keys, "newest", looking)

    return arrange


def test_who_finds_no_key_while_another_makes_the_first_takes_that(
    organization_id: UUID, after_the_first_look: Callable[[Callable[[], object]], None]
) -> None:
    after_the_first_look(lambda: keys._newest_or_first(organization_id, keys.CONTENT))
    key = keys._newest_or_first(organization_id, keys.CONTENT)
    assert [row.id for row in rows_of(organization_id)] == [key.key_id]


@pytest.mark.parametrize("make", [keys.key_for, keys.rotate_key, keys.next_people_key])
def test_no_key_is_made_by_who_looked_before_all_were_destroyed(
    make: Callable[[UUID], KeyEncryptionKey],
    organization_id: UUID,
    after_the_first_look: Callable[[Callable[[], object]], None],
) -> None:
    if make is not keys.key_for:
        keys.key_for(organization_id)
    after_the_first_look(lambda: keys.destroy_keys(organization_id))
    # A root that is gone already is refused by its provider.
    with pytest.raises((KeyDestroyed, KeyRefused)):
        make(organization_id)
    assert all(row.destroyed_at for row in rows_of(organization_id))


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
    monkeypatch.setattr(wrapping, "provider_of", lambda root: Unreachable())
    monkeypatch.setattr(keys.cache, "clock", lambda: now + 290)
    assert keys.key_for(organization_id) == key
    monkeypatch.setattr(keys.cache, "clock", lambda: now + 301)
    with pytest.raises(KeyUnavailable):
        keys.key_for(organization_id)
    monkeypatch.undo()
    keys.cache.forget(organization_id)
    assert keys.key_for(organization_id) == key


def test_a_persons_key_is_kept_no_longer_than_the_key_that_opened_it(
    organization_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = uuid4()
    theirs = keys.key_for(organization_id, person)
    now = time.monotonic()
    keys.cache.forget(organization_id)
    monkeypatch.setattr(keys.cache, "clock", lambda: now)
    keys.finder(organization_id)(_people_key_id(organization_id))
    monkeypatch.setattr(keys.cache, "clock", lambda: now + 250)
    assert keys.key_for(organization_id, person) == theirs
    monkeypatch.setattr(wrapping, "provider_of", lambda root: Unreachable())
    monkeypatch.setattr(keys.cache, "clock", lambda: now + 301)
    with pytest.raises(KeyUnavailable):
        keys.key_for(organization_id, person)


def _people_key_id(organization_id: UUID) -> UUID:
    row = keys.newest(organization_id, keys.PEOPLE)
    assert row is not None
    return UUID(str(row.pk))


def test_a_provider_that_failed_is_not_asked_again_at_once(
    organization_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, asked = keys.key_for(organization_id), []

    def nobody(root: str) -> KeyProvider:
        asked.append(root)
        return Unreachable()

    keys.cache.forget(organization_id)
    now = time.monotonic()
    monkeypatch.setattr(keys.cache, "clock", lambda: now)
    with monkeypatch.context() as patch:
        patch.setattr(wrapping, "provider_of", nobody)
        for _ in range(3):
            with pytest.raises(KeyUnavailable):
                keys.key_for(organization_id)
    assert len(asked) == 1
    monkeypatch.setattr(keys.cache, "clock", lambda: now + 5.1)
    assert keys.key_for(organization_id) == key


def test_a_key_that_cannot_be_wrapped_is_not_stored(
    organization_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wrapping, "chosen", Unreachable)
    with pytest.raises(KeyUnavailable):
        keys.key_for(organization_id)
    assert rows_of(organization_id) == []


def test_destroying_while_the_provider_is_away_is_done_later(
    organization_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.key_for(organization_id)
    (row,) = rows_of(organization_id)
    with monkeypatch.context() as patch:
        patch.setattr(wrapping, "provider_of", lambda root: Unreachable())
        with pytest.raises(KeyUnavailable):
            keys.destroy_keys(organization_id)
    with pytest.raises(KeyDestroyed):
        keys.key_for(organization_id)
    assert organization_id in renewal.due()
    renewal.settle(organization_id)
    assert organization_id not in renewal.due()
    with pytest.raises(KeyRefused):
        chosen.provider_of(row.provider_key_id).unwrap(row.provider_key_id, bytes(row.wrapped_key), {})


def test_destroying_that_is_rolled_back_destroys_nothing(organization_id: UUID) -> None:
    key = keys.key_for(organization_id)
    with acting_for(organization_id):
        keys.destroy_keys(organization_id)
        transaction.set_rollback(True)
    keys.cache.forget(organization_id)
    assert keys.key_for(organization_id) == key


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
    new = keys.rotate_key(organization_id)
    assert keys.key_for(organization_id) == new != old
    assert keys.finder(organization_id)(old.key_id) == old
    assert [row.version for row in rows_of(organization_id)] == [1, 2]
    assert len({row.provider_key_id for row in rows_of(organization_id)}) == 1


def test_the_database_refuses_a_destroyed_key_that_still_has_bytes(organization_id: UUID) -> None:
    keys.key_for(organization_id)
    (row,) = rows_of(organization_id)
    with pytest.raises(DatabaseError), acting_for(organization_id), transaction.atomic():
        OrganizationKey.objects.update(wrapped_key=b"")
    assert rows_of(organization_id)[0].wrapped_key == row.wrapped_key


def test_a_full_cache_starts_anew_instead_of_growing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching, "MAX_CACHED", 3)
    cache = caching.KeyCache()
    places = [uuid4() for _ in range(4)]
    for place in places:
        cache.find(place, None, lambda place=place: KeyEncryptionKey(place, b""))
    assert [cache.get(place, None) is not None for place in places] == [False, False, False, True]
