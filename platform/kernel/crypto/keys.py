"""The key-encryption key of each organization: made on first use, cached for minutes, destroyed for good."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, connection
from django.db.models.functions import Now

from kernel.crypto.errors import CiphertextAltered, KeyDestroyed
from kernel.crypto.keyfile import random_key
from kernel.crypto.keyring import KeyProvider, LocalKeyFile, WrappedKey
from kernel.crypto.models import OrganizationKey
from kernel.crypto.values import KEY_BYTES, KeyEncryptionKey, KeyFinder
from kernel.ids import uuid7
from kernel.tenancy.scope import acting_for

CACHE_SECONDS = 300.0
MAX_CACHED = 10_000


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


def key_for(organization_id: UUID) -> KeyEncryptionKey:
    """The key that seals the organization's content now; made on first use.

    Raises `KeyDestroyed` after `destroy_keys`, `KeyUnavailable` when its provider does not answer.
    """
    key = cache.get(organization_id, None)
    if key is None:
        key = _unwrap(_newest(organization_id) or _create_first(organization_id))
        cache.put(organization_id, None, key)
    return key


def finder(organization_id: UUID) -> KeyFinder:
    """Finds the organization's keys by id, for what is to be opened. The keys of others do not exist to it.

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
        if row is None:
            raise CiphertextAltered
        key = _unwrap(row)
        cache.put(organization_id, key_id, key)
    return key


def _newest(organization_id: UUID) -> OrganizationKey | None:
    with acting_for(organization_id):
        row: OrganizationKey | None = OrganizationKey.objects.order_by("-version").first()
    return row


def _create_first(organization_id: UUID) -> OrganizationKey:
    # A key must outlive whatever is sealed with it: made inside a transaction that rolls back later, it
    # would be gone while this process goes on sealing with it. So it is committed on its own connection.
    if not connection.in_atomic_block:
        return _insert_first(organization_id)
    with ThreadPoolExecutor(max_workers=1) as apart:
        return apart.submit(_insert_first_apart, organization_id).result()


def _insert_first_apart(organization_id: UUID) -> OrganizationKey:
    try:
        return _insert_first(organization_id)
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
