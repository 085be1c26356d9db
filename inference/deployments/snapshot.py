"""Publication of the serving snapshot: everything the gateway may know of keys and deployments.

PostgreSQL is the truth, Valkey the copy. Reading and writing happen under one lock, so that what was read
before a change can never overwrite what was published after it (a revoked key must not come back).
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Any, cast
from uuid import UUID

import structlog
from django.db.models import Model, Q
from django.utils import timezone

from inference.deployments import caches
from inference.deployments.entries import (
    KEY_PREFIX,
    READY,
    entries_of_keys,
    entries_of_projects,
)
from inference.deployments.limit_entries import (
    LIMITS_PREFIX,
    entries_of_limits,
    entries_of_plans,
    entries_of_prices,
    with_limits_of_their_own,
)
from inference.deployments.policy_entries import PROJECT_PREFIX, rows_of, sealed_for_gateways
from inference.deployments.valkey import valkey
from inference.deployments.writing import CHANGED, Entries, hold, write
from kernel.tenancy.scope import across_tenants, acting_for
from tenants.access.models import ApiKey
from tenants.organizations.models import Organization, OrganizationState, Project

# Of each key whose change was told: the names of the entries that its secrets have.
SECRETS_PREFIX = "lw:snapshot:secrets:"
BATCH = 500

log = structlog.get_logger()


def publish_key(organization_id: UUID, key_id: UUID) -> None:
    """Publish one API key as it is now; secrets that open nothing any more disappear.

    Raises `redis.RedisError`.
    """
    with acting_for(organization_id):
        hold()
        # Its organization's limits first: no key is ever served without them.
        write(entries_of_limits(organization_id))
        entries = entries_of_keys(list(ApiKey.objects.filter(pk=key_id)))
        # What was published of it before, since a row does not remember all the secrets it ever had.
        index = f"{SECRETS_PREFIX}{key_id}"
        before = cast(set[bytes], valkey().smembers(index))
        write({**{name.decode(): None for name in before}, **entries})
        valkey().delete(index)
        if living := [name for name, value in entries.items() if value is not None]:
            valkey().sadd(index, *living)


def publish_keys_of_people(organization_id: UUID, people: Collection[UUID] | None = None) -> None:
    """Publish the keys that are bounded by what a member may do, of these people or of all.

    Raises `redis.RedisError`.
    """
    theirs = Q(created_by__isnull=False) if people is None else Q(created_by__in=people)
    after: UUID | None = None
    while True:
        with acting_for(organization_id):
            hold()
            bounded = _rows(ApiKey, after).filter(theirs, revoked_at=None, service_account=None)
            keys = list(bounded[:BATCH])
            write(entries_of_keys(keys))
        if len(keys) < BATCH:
            return
        after = keys[-1].pk


def publish_projects(organization_id: UUID) -> None:
    """Publish all of an organization's projects. Raises `redis.RedisError`."""
    after: UUID | None = None
    while True:
        with acting_for(organization_id):
            policies = rows_of([project.pk for project in _rows(Project, after)[:BATCH]])
        sealed = sealed_for_gateways(policies)
        with acting_for(organization_id):
            hold()
            projects = list(_rows(Project, after)[:BATCH])
            write(entries_of_projects(projects, sealed))
        if len(projects) < BATCH:
            return
        after = projects[-1].pk


def publish_project(organization_id: UUID, project_id: UUID) -> None:
    """Publish a project's deployments as they are now. Raises `redis.RedisError`."""
    with acting_for(organization_id):
        policies = rows_of([project_id])
    sealed = sealed_for_gateways(policies)
    with acting_for(organization_id):
        hold()
        write(entries_of_projects(Project.objects.filter(pk=project_id), sealed))


def publish_limits(organization_id: UUID) -> None:
    """Publish the limits of an organization as they are now. Raises `redis.RedisError`."""
    with acting_for(organization_id):
        hold()
        write(entries_of_limits(organization_id))


def withdraw(organization_id: UUID) -> None:
    """Take everything of an organization out of the snapshot. Raises `redis.RedisError`."""
    with acting_for(organization_id):
        hold()
        gone = {f"{PROJECT_PREFIX}{pk}" for pk in Project.objects.values_list("pk", flat=True)}
        for pk, present, previous in ApiKey.objects.values_list("pk", "secret_hash", "previous_hash"):
            gone |= {KEY_PREFIX + present, KEY_PREFIX + previous}
            valkey().delete(f"{SECRETS_PREFIX}{pk}")
        write(dict.fromkeys([*gone, LIMITS_PREFIX + str(organization_id)]))


def publish_prices() -> int:
    """Publish the price book as it is now. Raises `redis.RedisError`."""
    with across_tenants():
        hold()
        return write(entries_of_prices())


def publish_everything() -> int:
    """Publish all limits, keys and projects and remove what is no more; answers how many entries changed.

    Only then does the snapshot count as ready. Raises `redis.RedisError`.
    """
    changed = publish_prices()
    for organizations in _batches(Organization, "pk"):
        changed += _write_limits([pk for _, pk in organizations])
        changed += _write_caches([pk for _, pk in organizations])
    for batch in _batches(Project):
        changed += _write_projects(batch)
    for batch in _batches(ApiKey):
        changed += _write_keys(batch)
    changed += _remove_unknown(PROJECT_PREFIX) + _remove_unknown(KEY_PREFIX)
    if not is_ready():
        valkey().set(READY, "1")
        valkey().publish(CHANGED, READY)
        log.info("snapshot.published", changed=changed)
    return changed


def is_ready() -> bool:
    """Whether Valkey holds a whole snapshot; it does not after it was wiped. Raises `redis.RedisError`."""
    return bool(valkey().exists(READY))


Batch = list[tuple[UUID, UUID]]
"""Organization and row."""


def _batches(kind: type[Model], owner: str = "organization_id") -> Iterator[Batch]:
    after: UUID | None = None
    while True:
        with across_tenants():
            found = list(_rows(kind, after).values_list(owner, "pk")[:BATCH])
        if not found:
            return
        yield found
        after = found[-1][1]


def _write_limits(organization_ids: list[UUID]) -> int:
    """What an organization set itself only its own scope reads; the rest follows from plans, all at once."""
    with across_tenants():
        hold()
        own = with_limits_of_their_own(organization_ids)
        others = Organization.objects.filter(pk__in=organization_ids).exclude(pk__in=own)
        changed = write(entries_of_plans(list(others.exclude(state=OrganizationState.CLOSED))))
    for organization_id in own:
        with acting_for(organization_id):
            hold()
            changed += write(entries_of_limits(organization_id))
    return changed


def _write_caches(organization_ids: list[UUID]) -> int:
    """Only those that differ, since their keys' providers are asked, without the lock."""
    with across_tenants():
        differing = caches.differing(organization_ids)
    return sum(map(caches.publish, differing))


def _write_projects(batch: Batch) -> int:
    project_ids = [pk for _, pk in batch]
    with across_tenants():
        policies = rows_of(project_ids)
    sealed = sealed_for_gateways(policies)
    with across_tenants():
        hold()
        return write(entries_of_projects(Project.objects.filter(pk__in=project_ids), sealed))


def _write_keys(batch: Batch) -> int:
    """What a key may do follows from its maker's roles, which only their organization's scope can read."""
    by_organization: dict[UUID, list[UUID]] = defaultdict(list)
    for organization_id, pk in batch:
        by_organization[organization_id].append(pk)
    changed = 0
    for organization_id, pks in by_organization.items():
        with acting_for(organization_id):
            hold()
            changed += write(entries_of_keys(list(ApiKey.objects.filter(pk__in=pks))))
    return changed


def _rows(kind: Any, after: UUID | None) -> Any:
    rows = kind.objects.order_by("pk")
    return rows.filter(pk__gt=after) if after else rows


def _remove_unknown(prefix: str) -> int:
    removed = 0
    names: list[str] = []
    for raw in valkey().scan_iter(match=f"{prefix}*", count=BATCH):
        names.append(cast(bytes, raw).decode())
        if len(names) == BATCH:
            removed += _remove_unless_known(prefix, names)
            names = []
    return removed + _remove_unless_known(prefix, names)


def _remove_unless_known(prefix: str, names: list[str]) -> int:
    if not names:
        return 0
    idents = [name.removeprefix(prefix) for name in names]
    with across_tenants():
        hold()
        known = _known_keys(idents) if prefix == KEY_PREFIX else _known_projects(idents)
        gone: Entries = {prefix + ident: None for ident in idents if ident not in known}
        return write(gone)


def _known_keys(hashes: list[str]) -> set[str]:
    live = ApiKey.objects.filter(revoked_at=None, project__isnull=False)
    present = live.filter(secret_hash__in=hashes).values_list("secret_hash", flat=True)
    rotated_out = live.filter(previous_hash__in=hashes, previous_until__gt=timezone.now())
    return {*present, *rotated_out.values_list("previous_hash", flat=True)}


def _known_projects(texts: list[str]) -> set[str]:
    wanted = [UUID(text) for text in texts if len(text) == 36]
    return {str(pk) for pk in Project.objects.filter(pk__in=wanted).values_list("pk", flat=True)}
