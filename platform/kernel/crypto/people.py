"""The keys of people: each sealed under the organization's key for people."""

from collections.abc import Callable
from functools import partial
from uuid import UUID

from django.db import IntegrityError
from django.db.models.functions import Now

from kernel.crypto.cache import cache
from kernel.crypto.errors import KeyDestroyed
from kernel.crypto.keyfile import random_key
from kernel.crypto.models import OrganizationKey, PersonKey
from kernel.crypto.values import (
    KEY_BYTES,
    KeyEncryptionKey,
    KeyFinder,
    bind,
    key_id_of,
    open_value,
    seal_value,
)
from kernel.crypto.wrapping import committed_apart
from kernel.ids import uuid7
from kernel.tenancy.scope import acting_for

PeopleKey = Callable[[], KeyEncryptionKey]
"""Gives the key that seals people's keys now."""


class Replaced(Exception):
    """The key for people is being replaced; the next one is there already."""


def find(organization_id: UUID, person: UUID) -> PersonKey | None:
    """The person's row, a tombstone included."""
    with acting_for(organization_id):
        row: PersonKey | None = PersonKey.objects.filter(person=person).first()
    return row


def insert(organization_id: UUID, person: UUID, people_key: PeopleKey) -> PersonKey:
    """Make the person's key; where another process was quicker, its."""
    try:
        return committed_apart(partial(_insert, organization_id, person, people_key()))
    except Replaced:
        cache.forget(organization_id)
        return committed_apart(partial(_insert, organization_id, person, people_key()))


def destroy(organization_id: UUID, person: UUID, people_key: PeopleKey) -> None:
    """Empty the person's key for good, and note what had sealed it; somebody without one gets a tombstone."""
    if find(organization_id, person) is None:
        insert(organization_id, person, people_key)
    with acting_for(organization_id):
        row = PersonKey.objects.select_for_update().filter(person=person, destroyed_at=None).first()
        if row is None:
            return
        under = key_id_of(bytes(row.sealed_key))
        PersonKey.objects.filter(pk=row.pk).update(sealed_key=b"", destroyed_at=Now(), destroyed_under=under)


def open_key(row: PersonKey, find_key: KeyFinder) -> KeyEncryptionKey:
    """The person's key. Raises `KeyDestroyed`, and what `find_key` raises."""
    if row.destroyed_at is not None:
        raise KeyDestroyed
    return KeyEncryptionKey(row.pk, open_value(find_key, bytes(row.sealed_key), place_of(row)))


def seal_key(row: PersonKey, secret: bytes, people_key: KeyEncryptionKey) -> None:
    """Put the person's key into its column."""
    row.sealed_key = seal_value(people_key, secret, place_of(row))


def place_of(row: PersonKey) -> bytes:
    """What the sealed key is bound to."""
    return bind("person key", row.organization_id, str(row.pk), str(row.person))


def hold(key: KeyEncryptionKey) -> None:
    """Keep the key for people from being retired until the transaction ends. Raises `Replaced` if it was."""
    living = OrganizationKey.objects.select_for_update().filter(pk=key.key_id, destroyed_at=None)
    if not living.exists():
        raise Replaced


def _insert(organization_id: UUID, person: UUID, people_key: KeyEncryptionKey) -> PersonKey:
    row = PersonKey(id=uuid7(), organization_id=organization_id, person=person)
    seal_key(row, random_key(KEY_BYTES), people_key)
    try:
        with acting_for(organization_id):
            hold(people_key)
            row.save(force_insert=True)
    except IntegrityError:
        winner = find(organization_id, person)
        if winner is None:
            raise
        return winner
    return row
