"""Fresh master keys: so that what was destroyed or taken back cannot be opened from a backup either."""

from dataclasses import dataclass
from functools import partial
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import BinaryField, Count, F, Func
from django.db.models.functions import Now

from kernel.crypto import copies, keys, people
from kernel.crypto.cache import cache
from kernel.crypto.errors import KeyDestroyed
from kernel.crypto.models import OrganizationKey, OwnKey, PersonKey, RetiredRoot
from kernel.crypto.own import OuterKey
from kernel.crypto.values import KeyEncryptionKey
from kernel.crypto.wrapping import destroy_retired_roots, new_root, retire_roots, wrap
from kernel.errors import Conflict, Unavailable
from kernel.tenancy.scope import across_tenants, acting_for

SLICE = 200

log = structlog.get_logger()


class KeysChanged(Conflict):
    """The organization's keys changed while they were being moved."""

    code = "encryption_keys_changed"
    message = "The organization's encryption keys were changed at the same moment; try again."


@dataclass(frozen=True)
class Moved:
    """How one key is wrapped after a move."""

    row: OrganizationKey
    root: str
    wrapped: bytes


def sealing_key(column: str) -> Func:
    """The id of the key that sealed a column's value, as its 16 bytes, for the database to compute."""
    return Func(
        F(column),
        template="substring(%(expressions)s from 3 for 16)",
        output_field=BinaryField(),
    )


def move(organization_id: UUID, own_key: OwnKey | None) -> int:
    """Wrap all keys of the organization under fresh master keys, and under `own_key` if one is given, which
    becomes the organization's own; answers how many.

    Content stays as it is. The master keys from before are retired: `finish` destroys them. Raises
    `KeysChanged`, `KeyDestroyed`, `KeyUnavailable`.
    """
    outer = keys.outer_key(own_key) if own_key is not None else None
    moved = _wrapped_anew(organization_id, outer)
    with acting_for(organization_id):
        living = {
            row.pk: row for row in OrganizationKey.objects.select_for_update().filter(destroyed_at=None)
        }
        before = {each.row.pk: bytes(each.row.wrapped_key) for each in moved}
        if {pk: bytes(row.wrapped_key) for pk, row in living.items()} != before:
            raise KeysChanged
        for each in moved:
            OrganizationKey.objects.filter(pk=each.row.pk).update(
                wrapped_key=each.wrapped,
                provider_key_id=each.root,
                own_key_id=outer.own_key_id if outer else None,
            )
        retire_roots({row.provider_key_id for row in living.values()})
        OwnKey.objects.exclude(pk=own_key.pk if own_key else None).delete()
        if own_key is not None:
            own_key.save()
    cache.forget(organization_id)
    return len(moved)


def finish(organization_id: UUID) -> None:
    """Keep a copy of the wrapped keys as they are now, then destroy the master keys from before.

    Once the present transaction is committed. What fails is done by the schedule (`settle`).
    """
    cache.forget(organization_id)
    transaction.on_commit(partial(_destroy_what_is_retired, organization_id))


def _destroy_what_is_retired(organization_id: UUID) -> None:
    with acting_for(organization_id):
        if not RetiredRoot.objects.exists():
            return
    try:
        # First the copy: a backup of the database opens with it alone from then on.
        copies.keep(organization_id)
        destroy_retired_roots(organization_id)
    except Unavailable as fault:
        log.warning("keys.not_destroyed_yet", organization_id=str(organization_id), fault=fault.code)


def renew_people(organization_id: UUID) -> None:
    """Put the keys of the organization's people under a new key, and destroy the one from before: the keys of
    people that were destroyed cannot be opened from a backup of the database any more.

    Safe to repeat, and to break off at any point. Raises `KeyUnavailable`.
    """
    try:
        current = _people_key(organization_id)
    except KeyDestroyed:
        return finish(organization_id)
    while not _retire_older(organization_id, current):
        _reseal(organization_id, current)
    return finish(organization_id)


def settle(organization_id: UUID) -> None:
    """Do what destroying left to be done. Raises `KeyUnavailable`."""
    with acting_for(organization_id):
        living = OrganizationKey.objects.filter(purpose=keys.PEOPLE, destroyed_at=None)
        is_due = (
            living.count() > 1 or PersonKey.objects.filter(destroyed_under__in=living.values("pk")).exists()
        )
    if is_due:
        renew_people(organization_id)
    else:
        finish(organization_id)


def due() -> set[UUID]:
    """The organizations of which something is to be settled."""
    with across_tenants():
        living = OrganizationKey.objects.filter(purpose=keys.PEOPLE, destroyed_at=None)
        shredded = PersonKey.objects.filter(destroyed_under__in=living.values("pk"))
        several = living.values("organization_id").annotate(number=Count("pk")).filter(number__gt=1)
        return {
            *shredded.values_list("organization_id", flat=True),
            *several.values_list("organization_id", flat=True),
            *RetiredRoot.objects.values_list("organization_id", flat=True),
        }


def is_in_backups(organization_id: UUID, person: UUID) -> bool:
    """Whether a backup of the database could still open the destroyed key of the person."""
    with acting_for(organization_id):
        living = OrganizationKey.objects.filter(destroyed_at=None).values("pk")
        in_use = PersonKey.objects.filter(person=person, destroyed_under__in=living).exists()
        return in_use or RetiredRoot.objects.exists()


def _wrapped_anew(organization_id: UUID, outer: OuterKey | None) -> list[Moved]:
    keys.key_for(organization_id)
    with acting_for(organization_id):
        rows = list(OrganizationKey.objects.filter(destroyed_at=None).order_by("pk"))
    roots: dict[object, str] = {}
    moved = []
    for row in rows:
        key = keys.unwrap_row(row)
        place = keys.CONTENT if row.purpose == keys.CONTENT else row.pk
        if place not in roots:
            roots[place] = new_root(organization_id, row.purpose)
        moved.append(Moved(row, roots[place], wrap(key, roots[place], organization_id, outer)))
    return moved


def _people_key(organization_id: UUID) -> KeyEncryptionKey:
    """The key for people under which no key was destroyed yet; made where there is none."""
    row = keys.newest(organization_id, keys.PEOPLE)
    if row is not None:
        with acting_for(organization_id):
            is_fresh = not PersonKey.objects.filter(destroyed_under=row.pk).exists()
        if is_fresh or row.destroyed_at is not None:
            return keys.unwrap_row(row)
    return keys.next_people_key(organization_id)


def _reseal(organization_id: UUID, current: KeyEncryptionKey) -> None:
    """Put some people's keys under the current one."""
    find_key = keys.finder(organization_id)
    with acting_for(organization_id):
        people.hold(current)
        others = PersonKey.objects.filter(destroyed_at=None).annotate(by=sealing_key("sealed_key"))
        for row in others.exclude(by=current.key_id.bytes).select_for_update(of=("self",))[:SLICE]:
            people.seal_key(row, people.open_key(row, find_key).secret, current)
            PersonKey.objects.filter(pk=row.pk).update(sealed_key=row.sealed_key)


def _retire_older(organization_id: UUID, current: KeyEncryptionKey) -> bool:
    """Empty the older keys for people once they seal nothing; answers whether they do not."""
    with acting_for(organization_id):
        rows = OrganizationKey.objects.filter(purpose=keys.PEOPLE, destroyed_at=None).exclude(
            pk=current.key_id
        )
        older = list(rows.select_for_update())
        living = PersonKey.objects.filter(destroyed_at=None).annotate(by=sealing_key("sealed_key"))
        if living.exclude(by=current.key_id.bytes).exists():
            return False
        retire_roots({row.provider_key_id for row in older})
        rows.filter(pk__in=[row.pk for row in older]).update(wrapped_key=b"", destroyed_at=Now())
    return True
