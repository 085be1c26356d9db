"""Bringing everything of an organization under its newest key: objects' heads, sealed columns, people's keys.

Small steps, each safe to repeat: whoever does it may die at any point, and traffic goes on. A pass looks at
everything; passes follow one another until one finds nothing under an older key.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial
from uuid import UUID

import structlog
from django.db.models import F
from django.db.models.functions import Now

from kernel.crypto import keys, renewal
from kernel.crypto.columns import Place, sealed_columns
from kernel.crypto.errors import CiphertextAltered, KeyDestroyed
from kernel.crypto.models import OrganizationKey, PersonKey, ReEncryption, ReEncryptionState
from kernel.crypto.renewal import sealing_key
from kernel.crypto.wrapping import retire_roots
from kernel.errors import Conflict
from kernel.storage import heads
from kernel.tenancy.models import TenantOwned
from kernel.tenancy.scope import across_tenants, acting_for

OBJECTS_AT_ONCE = 20
ROWS_AT_ONCE = 200
LEASE = timedelta(seconds=120)
# Longer than any upload that took its key before the rotation; older ones are abandoned daily.
RETIRED_AFTER = timedelta(hours=24)

log = structlog.get_logger()


class OldKeysInUse(Conflict):
    """Something is still sealed with the older keys, or may be."""

    code = "encryption_keys_in_use"


@dataclass(frozen=True)
class Step:
    """What one step did; `after` is where the next begins, none where the stage is at its end."""

    seen: int
    moved: int
    unreadable: int
    after: str | None


class Turn(StrEnum):
    """How some work on a re-encryption ended."""

    MORE = "more"
    FINISHED = "finished"
    # Somebody else is at it, or it was cancelled.
    IDLE = "idle"


Stage = Callable[[UUID, str], Step]


def stages() -> dict[str, Stage]:
    """Everything that a pass looks at, by the names under which its place is kept."""
    found: dict[str, Stage] = {name: partial(_objects, name) for name in heads.buckets()}
    for place in sealed_columns():
        found[f"{place.model._meta.label}.{place.column.name}"] = partial(_values, place)
    return {**found, "people": _people}


def advance(organization_id: UUID, *, seconds: float) -> Turn:
    """Work on the organization's re-encryption for so long; answers how that ended.

    Raises what a store or a key provider raises that does not answer; the next call goes on from there.
    """
    until = time.monotonic() + seconds
    leased = job = _lease(organization_id)
    if leased is None:
        return Turn.IDLE
    try:
        while job is not None and time.monotonic() < until:
            job = _step(organization_id, job)
    finally:
        with acting_for(organization_id):
            ReEncryption.objects.filter(pk=leased.pk).update(lease_until=None)
            leased.refresh_from_db()
    if job is not None:
        return Turn.MORE
    return Turn.FINISHED if leased.state == ReEncryptionState.DONE else Turn.IDLE


def waiting() -> list[tuple[UUID, UUID]]:
    """The organizations whose re-encryption nobody works on, and its id."""
    with across_tenants():
        rows = ReEncryption.objects.filter(state=ReEncryptionState.RUNNING).exclude(lease_until__gt=Now())
        return list(rows.order_by("pk").values_list("organization_id", "pk"))


def values_under_older_keys(organization_id: UUID) -> int:
    """How many sealed columns are not under the newest key."""
    with acting_for(organization_id):
        older = _older(organization_id)
        return sum(
            place.model.objects.annotate(by=sealing_key(place.column.attname)).filter(by__in=older).count()
            for place in sealed_columns()
            if older
        )


def retire_older_keys(organization_id: UUID) -> int:
    """Empty the older keys once nothing is sealed with them; answers how many. Reads every object's head.

    Raises `OldKeysInUse` while something is, or while an upload may be under way that took one.
    """
    with acting_for(organization_id):
        current = keys.newest(organization_id, keys.CONTENT)
        older = list(keys.older_keys(organization_id))
        is_young = OrganizationKey.objects.filter(
            pk=current.pk if current else None, created_at__gt=Now() - RETIRED_AFTER
        ).exists()
    if older and is_young:
        raise OldKeysInUse(
            "The newest key is not a day old: uploads that took the one before may be under way."
        )
    used = values_under_older_keys(organization_id) + _objects_under(
        organization_id, {row.pk for row in older}
    )
    if used:
        raise OldKeysInUse(f"{used} objects and values are still under an older key: re-encrypt them first.")
    with acting_for(organization_id):
        rows = OrganizationKey.objects.select_for_update().filter(pk__in=[row.pk for row in older])
        emptied: int = rows.update(wrapped_key=b"", destroyed_at=Now())
        in_use = set(
            OrganizationKey.objects.filter(destroyed_at=None).values_list("provider_key_id", flat=True)
        )
        retire_roots({row.provider_key_id for row in older} - in_use)
    renewal.finish(organization_id)
    return emptied


def _lease(organization_id: UUID) -> ReEncryption | None:
    with acting_for(organization_id):
        rows = ReEncryption.objects.filter(state=ReEncryptionState.RUNNING).exclude(lease_until__gt=Now())
        job: ReEncryption | None = rows.select_for_update(skip_locked=True).first()
        if job is not None:
            ReEncryption.objects.filter(pk=job.pk).update(lease_until=Now() + LEASE)
    return job


def _step(organization_id: UUID, job: ReEncryption) -> ReEncryption | None:
    """One step; answers the job as it stands then, or nothing when it is no longer running."""
    known = stages()
    names = list(known)
    name, after = json.loads(job.place) if job.place else (names[0], "")
    if name not in known:
        # The place was written by another version of the program.
        name, after = names[0], ""
    did = known[name](organization_id, after)
    if did.after is not None:
        return _note(organization_id, job, did, [name, did.after])
    following = names[names.index(name) + 1 :]
    return _note(organization_id, job, did, [following[0], ""] if following else [])


def _note(organization_id: UUID, job: ReEncryption, did: Step, place: list[str]) -> ReEncryption | None:
    with acting_for(organization_id):
        rows = ReEncryption.objects.filter(pk=job.pk, state=ReEncryptionState.RUNNING)
        rows.update(
            place=json.dumps(place) if place else "",
            seen=F("seen") + did.seen,
            moved=F("moved") + did.moved,
            left_in_pass=F("left_in_pass") + did.moved,
            unreadable=F("unreadable") + did.unreadable,
            lease_until=Now() + LEASE,
        )
        present: ReEncryption | None = rows.select_for_update().first()
        if present is None or place:
            return present
        if present.left_in_pass == 0:
            rows.update(state=ReEncryptionState.DONE, finished_at=Now(), lease_until=None)
            return None
        rows.update(passes=F("passes") + 1, left_in_pass=0, unreadable=0)
        present.place = ""
        return present


def _objects(bucket: str, organization_id: UUID, after: str) -> Step:
    store = heads.buckets()[bucket]
    listed = heads.list_after(store, organization_id, after, OBJECTS_AT_ONCE)
    moved = unreadable = 0
    for name in listed.names:
        try:
            moved += heads.exchange(store, organization_id, name)
        except (CiphertextAltered, KeyDestroyed) as fault:
            unreadable += 1
            log.warning("reencryption.unreadable", object=name, fault=fault.code)
    return Step(len(listed.names), moved, unreadable, listed.after)


def _values(place: Place, organization_id: UUID, after: str) -> Step:
    with acting_for(organization_id):
        older = _older(organization_id)
        rows = place.model.objects.order_by("pk").annotate(by=sealing_key(place.column.attname))
        if after:
            rows = rows.filter(pk__gt=UUID(after))
        found = list(rows.filter(by__in=older)[:ROWS_AT_ONCE]) if older else []
        outcomes = [_reseal(place, row) for row in found]
    moved = outcomes.count(True)
    last = str(found[-1].pk) if len(found) == ROWS_AT_ONCE else None
    return Step(len(found), moved, len(found) - moved, last)


def _reseal(place: Place, row: TenantOwned) -> bool:
    """Seal one value anew, unless it is changed meanwhile; answers whether it could be opened."""
    name = place.column.attname
    before = bytes(getattr(row, name))
    try:
        anew = place.column.resealed(row)
    except (CiphertextAltered, KeyDestroyed) as fault:
        log.warning(
            "reencryption.unreadable", table=place.model._meta.label, row=str(row.pk), fault=fault.code
        )
        return False
    place.model.objects.filter(pk=row.pk, **{name: before}).update(**{name: anew})
    return True


def _people(organization_id: UUID, after: str) -> Step:
    """People's keys that were made before there was a key for people."""
    with acting_for(organization_id):
        older = _older(organization_id)
        sealed = PersonKey.objects.filter(destroyed_at=None).annotate(by=sealing_key("sealed_key"))
        moved = sealed.filter(by__in=older).count() if older else 0
    if moved:
        renewal.renew_people(organization_id)
    return Step(moved, moved, 0, None)


def _older(organization_id: UUID) -> list[bytes]:
    return [pk.bytes for pk in keys.older_keys(organization_id).values_list("pk", flat=True)]


def _objects_under(organization_id: UUID, key_ids: set[UUID]) -> int:
    found = 0
    for store in heads.buckets().values():
        after: str | None = ""
        while key_ids and after is not None:
            listed = heads.list_after(store, organization_id, after, OBJECTS_AT_ONCE)
            found += sum(heads.key_of(store, name) in key_ids for name in listed.names)
            after = listed.after
    return found
