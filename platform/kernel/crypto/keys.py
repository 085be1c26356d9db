"""The key-encryption keys of organizations and their people: made on first use, found, destroyed for good."""

from functools import partial
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from kernel.crypto import own, people
from kernel.crypto.cache import cache
from kernel.crypto.errors import CiphertextAltered, KeyDestroyed, KeyUnavailable
from kernel.crypto.keyfile import random_key
from kernel.crypto.models import OrganizationKey, OwnKey, PersonKey, Purpose
from kernel.crypto.own import OuterKey
from kernel.crypto.values import KEY_BYTES, KeyEncryptionKey, KeyFinder
from kernel.crypto.wrapping import (
    committed_apart,
    destroy_retired_roots,
    new_root,
    retire_roots,
    unwrap,
    wrap,
)
from kernel.ids import uuid7
from kernel.tenancy.scope import acting_for

# The platform's keys are kept as an organization's are. Ids of organizations are UUIDv7; this one is none.
PLATFORM = UUID(int=0)
CONTENT, PEOPLE = Purpose.CONTENT.value, Purpose.PEOPLE.value


def key_for(organization_id: UUID, person: UUID | None = None) -> KeyEncryptionKey:
    """The key that seals the organization's content now, or one person's content in it; made on first use.

    Raises `KeyDestroyed` after `destroy_keys` and `destroy_person_key`, `KeyUnavailable` when its provider
    does not answer or refuses.
    """
    if person is not None:
        return cache.find(organization_id, person, partial(_key_of_person, organization_id, person))
    return cache.find(organization_id, None, partial(_newest_or_first, organization_id, CONTENT))


def finder(organization_id: UUID) -> KeyFinder:
    """Finds the keys of the organization and its people by id, for what is to be opened. Those of other
    organizations do not exist to it.

    The finder raises `CiphertextAltered` for an unknown id, `KeyDestroyed`, `KeyUnavailable`.
    """
    return partial(_key_by_id, organization_id)


def rotate_key(organization_id: UUID) -> KeyEncryptionKey:
    """Seal content with a fresh key from now on, other processes within `CACHE_SECONDS`; the older keys still
    open what they sealed. Raises `KeyDestroyed`, `KeyUnavailable`.
    """
    return _next(organization_id, CONTENT)


def next_people_key(organization_id: UUID) -> KeyEncryptionKey:
    """A fresh key for people, which seals theirs from now on. Raises `KeyDestroyed`, `KeyUnavailable`."""
    return _next(organization_id, PEOPLE)


def destroy_keys(organization_id: UUID) -> int:
    """Make everything sealed for the organization unreadable for ever; answers how many keys that took.

    Irrevocable: the master keys go too, so that backups of the database are of no use. Other processes forget
    the keys within `CACHE_SECONDS`. An organization that never had a key gets a tombstone too, so that none
    is made for it later. Raises `KeyUnavailable` where the provider of the master keys does not answer: what
    is left to destroy is noted then, and done by `destroy_retired_roots`.
    """
    if newest(organization_id, CONTENT) is None:
        committed_apart(partial(_insert_after, None, organization_id, CONTENT))
    with acting_for(organization_id):
        living = OrganizationKey.objects.select_for_update().filter(destroyed_at=None)
        retire_roots(set(living.values_list("provider_key_id", flat=True)))
        count: int = living.update(wrapped_key=b"", destroyed_at=Now())
        PersonKey.objects.filter(destroyed_at=None).update(sealed_key=b"", destroyed_at=Now())
    cache.forget(organization_id)
    transaction.on_commit(partial(destroy_retired_roots, organization_id))
    return count


def destroy_person_key(organization_id: UUID, person: UUID) -> None:
    """Make everything sealed for the person in this organization unreadable for ever. Safe to repeat.

    Irrevocable; other processes follow within `CACHE_SECONDS`, backups of the database once the key for
    people that sealed it is replaced (`kernel.crypto.renewal`). No new key is made for the person.
    """
    people_key = partial(
        cache.find, organization_id, PEOPLE, partial(_newest_or_first, organization_id, PEOPLE)
    )
    people.destroy(organization_id, person, people_key)
    cache.forget(organization_id)


def newest(organization_id: UUID, purpose: str) -> OrganizationKey | None:
    """The row of the key that seals now, a tombstone included."""
    with acting_for(organization_id):
        row: OrganizationKey | None = (
            OrganizationKey.objects.filter(purpose=purpose).order_by("-version").first()
        )
    return row


def older_keys(organization_id: UUID) -> "QuerySet[OrganizationKey]":
    """The living keys that content is no longer sealed with, in the current scope."""
    current = newest(organization_id, CONTENT)
    rows: QuerySet[OrganizationKey] = OrganizationKey.objects.filter(purpose=CONTENT, destroyed_at=None)
    return rows.exclude(pk=current.pk) if current else rows


def unwrap_row(row: OrganizationKey) -> KeyEncryptionKey:
    """The key of a row, asked of its providers now. Raises `KeyDestroyed`, `KeyUnavailable`."""
    return unwrap(row, _outer(row.organization_id, row.own_key_id))


def outer_key(own_key: OwnKey) -> OuterKey:
    """An organization's own key, asked as it lets us. Raises `KeyUnavailable`, `KeyRefused`."""
    return own.outer_key(own_key, finder(PLATFORM))


def _outer(organization_id: UUID, own_key_id: UUID | None) -> OuterKey | None:
    if own_key_id is None:
        return None
    own_key = own.find(organization_id)
    if own_key is None or own_key.pk != own_key_id:
        raise KeyUnavailable
    return outer_key(own_key)


def _newest_or_first(organization_id: UUID, purpose: str) -> KeyEncryptionKey:
    row = newest(organization_id, purpose)
    if row is None and purpose == PEOPLE:
        # No key for people is made where the organization's were destroyed.
        key_for(organization_id)
    return unwrap_row(row or committed_apart(partial(_insert_after, None, organization_id, purpose)))


def _next(organization_id: UUID, purpose: str) -> KeyEncryptionKey:
    key_for(organization_id)
    before = newest(organization_id, purpose)
    row = committed_apart(partial(_insert_after, before, organization_id, purpose))
    cache.forget(organization_id)
    return unwrap_row(row)


def _key_by_id(organization_id: UUID, key_id: UUID) -> KeyEncryptionKey:
    return cache.find(organization_id, key_id, partial(_look_up, organization_id, key_id))


def _look_up(organization_id: UUID, key_id: UUID) -> KeyEncryptionKey:
    with acting_for(organization_id):
        row = OrganizationKey.objects.filter(pk=key_id).first()
        own_row = PersonKey.objects.filter(pk=key_id).first() if row is None else None
    if row is not None:
        return unwrap_row(row)
    if own_row is not None:
        return people.open_key(own_row, finder(organization_id))
    raise CiphertextAltered


def _key_of_person(organization_id: UUID, person: UUID) -> KeyEncryptionKey:
    people_key = partial(
        cache.find, organization_id, PEOPLE, partial(_newest_or_first, organization_id, PEOPLE)
    )
    row = people.find(organization_id, person) or people.insert(organization_id, person, people_key)
    return people.open_key(row, finder(organization_id))


def _insert_after(before: OrganizationKey | None, organization_id: UUID, purpose: str) -> OrganizationKey:
    """The version after this one, or the first; where another process was quicker, its.

    Raises `KeyDestroyed` when the organization's keys were destroyed since.
    """
    own_key = own.find(organization_id)
    outer = outer_key(own_key) if own_key is not None else None
    # A key for people has a master key to itself: destroying that one destroys what it sealed.
    shares_root = before is not None and purpose == CONTENT and before.destroyed_at is None
    root = before.provider_key_id if before and shares_root else new_root(organization_id, purpose)
    key = KeyEncryptionKey(uuid7(), random_key(KEY_BYTES))
    row = OrganizationKey(
        id=key.key_id,
        purpose=purpose,
        version=before.version + 1 if before else 1,
        wrapped_key=wrap(key, root, organization_id, outer),
        provider_key_id=root,
        own_key_id=outer.own_key_id if outer else None,
    )
    try:
        with acting_for(organization_id):
            _hold(before, outer)
            row.save(force_insert=True)
    except IntegrityError:
        winner = newest(organization_id, purpose)
        if winner is None or (before is not None and winner.pk == before.pk):
            raise
        return winner
    return row


def _hold(before: OrganizationKey | None, outer: OuterKey | None) -> None:
    """Keep the organization's keys from being moved or destroyed until the transaction ends.

    Raises `KeyUnavailable` if they were moved, `KeyDestroyed` if they were destroyed.
    """
    rows = {row.pk: row for row in OrganizationKey.objects.select_for_update()}
    if rows and not any(row.purpose == CONTENT and row.destroyed_at is None for row in rows.values()):
        raise KeyDestroyed
    own_key = OwnKey.objects.first()
    is_moved = before is not None and rows[before.pk].provider_key_id != before.provider_key_id
    if is_moved or (own_key.pk if own_key else None) != (outer.own_key_id if outer else None):
        raise KeyUnavailable
