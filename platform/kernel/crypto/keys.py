"""The key-encryption keys of organizations and their people: made on first use, cached for minutes, destroyed
for good.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock
from typing import TypeVar
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, connection
from django.db.models.functions import Now

from kernel.crypto.errors import CiphertextAltered, KeyDestroyed
from kernel.crypto.keyfile import random_key
from kernel.crypto.keyring import KeyProvider, LocalKeyFile, WrappedKey
from kernel.crypto.models import OrganizationKey, PersonKey
from kernel.crypto.values import KEY_BYTES, KeyEncryptionKey, KeyFinder, bind, open_value, seal_value
from kernel.ids import uuid7
from kernel.tenancy.scope import acting_for

CACHE_SECONDS = 300.0
MAX_CACHED = 10_000
Row = TypeVar("Row", OrganizationKey, PersonKey)


class KeyCache:
    """Unwrapped keys of this process, each for at most `CACHE_SECONDS`: a key revoked at its provider stops
    working within that time. `None` as key id stands for the organization's current key.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._kept: dict[tuple[UUID, UUID | None], tuple[float, KeyEncryptionKey]] = {}
        self._lock = Lock()

    def get(self, organization_id: UUID, key_id: UUID | None) -> KeyEncryptionKey | None:
        """The key, unless it is unknown or too old."""
        found = self._kept.get((organization_id, key_id))
        if found is None or self.clock() >= found[0]:
            return None
        return found[1]

    def put(self, organization_id: UUID, key_id: UUID | None, key: KeyEncryptionKey) -> None:
        """Keep a key that was unwrapped just now."""
        with self._lock:
            if len(self._kept) >= MAX_CACHED:
                self._kept.clear()
            self._kept[(organization_id, key_id)] = (self.clock() + CACHE_SECONDS, key)

    def forget(self, organization_id: UUID | None = None) -> None:
        """Drop one organization's keys, or all."""
        with self._lock:
            for place in list(self._kept):
                if organization_id in (None, place[0]):
                    del self._kept[place]


cache = KeyCache()


def key_for(organization_id: UUID, person: UUID | None = None) -> KeyEncryptionKey:
    """The key that seals the organization's content now, or one person's content in it; made on first use.

    Raises `KeyDestroyed` after `destroy_keys` and `destroy_person_key`, `KeyUnavailable` when its provider
    does not answer.
    """
    if person is not None:
        return _key_of_person(organization_id, person)
    key = cache.get(organization_id, None)
    if key is None:
        key = _unwrap(_newest(organization_id) or _create_first(organization_id))
        cache.put(organization_id, None, key)
    return key


def finder(organization_id: UUID) -> KeyFinder:
    """Finds the keys of the organization and its people by id, for what is to be opened. Those of other
    organizations do not exist to it.

    The finder raises `CiphertextAltered` for an unknown id, `KeyDestroyed`, `KeyUnavailable`.
    """
    return partial(_key_by_id, organization_id)


def destroy_keys(organization_id: UUID) -> int:
    """Make everything sealed for the organization unreadable for ever; answers how many keys that took.

    Irrevocable. Other processes forget the keys within `CACHE_SECONDS`; backups of the database that hold
    the wrapped keys must follow (see docs/encryption.md). An organization that never had a key gets a
    tombstone too, so that none is made for it later.
    """
    if _newest(organization_id) is None:
        _create_first(organization_id)
    with acting_for(organization_id):
        living = OrganizationKey.objects.filter(destroyed_at=None)
        count: int = living.update(wrapped_key=b"", destroyed_at=Now())
    cache.forget(organization_id)
    return count


def destroy_person_key(organization_id: UUID, person: UUID) -> None:
    """Make everything sealed for the person in this organization unreadable for ever. Safe to repeat.

    Irrevocable; other processes follow within `CACHE_SECONDS`. No new key is made for the person.
    """
    if _row_of_person(organization_id, person) is None:
        _committed_apart(partial(_insert_person_key, organization_id, person))
    with acting_for(organization_id):
        PersonKey.objects.filter(person=person, destroyed_at=None).update(sealed_key=b"", destroyed_at=Now())
    cache.forget(organization_id)


@lru_cache(maxsize=4)
def _local_provider(path: Path) -> KeyProvider:
    return LocalKeyFile(path)


def provider() -> KeyProvider:
    """The configured keeper of master keys, read once. Raises `KeyringRefused`: call it at start."""
    return _local_provider(Path(settings.KEYRING_FILE))


def _key_by_id(organization_id: UUID, key_id: UUID) -> KeyEncryptionKey:
    key = cache.get(organization_id, key_id)
    if key is None:
        with acting_for(organization_id):
            row = OrganizationKey.objects.filter(pk=key_id).first()
            own = PersonKey.objects.filter(pk=key_id).first() if row is None else None
        if row is not None:
            key = _unwrap(row)
        elif own is not None:
            key = _open_person_key(own)
        else:
            raise CiphertextAltered
        cache.put(organization_id, key_id, key)
    return key


def _key_of_person(organization_id: UUID, person: UUID) -> KeyEncryptionKey:
    # Under the person's id: no key has it.
    key = cache.get(organization_id, person)
    if key is None:
        row = _row_of_person(organization_id, person)
        if row is None:
            row = _committed_apart(partial(_insert_person_key, organization_id, person))
        key = _open_person_key(row)
        cache.put(organization_id, person, key)
    return key


def _row_of_person(organization_id: UUID, person: UUID) -> PersonKey | None:
    with acting_for(organization_id):
        row: PersonKey | None = PersonKey.objects.filter(person=person).first()
    return row


def _insert_person_key(organization_id: UUID, person: UUID) -> PersonKey:
    row = PersonKey(id=uuid7(), person=person)
    place = _person_place(organization_id, row.id, person)
    row.sealed_key = seal_value(key_for(organization_id), random_key(KEY_BYTES), place)
    try:
        with acting_for(organization_id):
            row.save(force_insert=True)
    except IntegrityError:
        winner = _row_of_person(organization_id, person)
        if winner is None:
            raise
        return winner
    return row


def _open_person_key(row: PersonKey) -> KeyEncryptionKey:
    if row.destroyed_at is not None:
        raise KeyDestroyed
    place = _person_place(row.organization_id, row.id, row.person)
    return KeyEncryptionKey(row.id, open_value(finder(row.organization_id), bytes(row.sealed_key), place))


def _person_place(organization_id: UUID, key_id: UUID, person: UUID) -> bytes:
    return bind("person key", organization_id, str(key_id), str(person))


def _newest(organization_id: UUID) -> OrganizationKey | None:
    with acting_for(organization_id):
        row: OrganizationKey | None = OrganizationKey.objects.order_by("-version").first()
    return row


def _create_first(organization_id: UUID) -> OrganizationKey:
    return _committed_apart(partial(_insert_first, organization_id))


def _committed_apart(insert: Callable[[], Row]) -> Row:
    # A key must outlive whatever is sealed with it: made inside a transaction that rolls back later, it
    # would be gone while this process goes on sealing with it. So it is committed on its own connection.
    if not connection.in_atomic_block:
        return insert()
    with ThreadPoolExecutor(max_workers=1) as apart:
        return apart.submit(_and_close, insert).result()


def _and_close(insert: Callable[[], Row]) -> Row:
    try:
        return insert()
    finally:
        connection.close()


def _insert_first(organization_id: UUID) -> OrganizationKey:
    key_id = uuid7()
    wrapped = provider().wrap(random_key(KEY_BYTES), _context(organization_id, key_id))
    row = OrganizationKey(
        id=key_id, version=1, wrapped_key=wrapped.ciphertext, provider_key_id=wrapped.provider_key_id
    )
    try:
        with acting_for(organization_id):
            row.save(force_insert=True)
    except IntegrityError:
        winner = _newest(organization_id)
        if winner is None:
            raise
        return winner
    return row


def _unwrap(row: OrganizationKey) -> KeyEncryptionKey:
    if row.destroyed_at is not None:
        raise KeyDestroyed
    wrapped = WrappedKey(row.provider_key_id, bytes(row.wrapped_key))
    return KeyEncryptionKey(row.id, provider().unwrap(wrapped, _context(row.organization_id, row.id)))


def _context(organization_id: UUID, key_id: UUID) -> dict[str, str]:
    return {"organization_id": str(organization_id), "key_id": str(key_id)}
