"""The drain: usage leaves the gateways' stream for the database, each request once.

An entry is acknowledged only after its row is committed. Whatever dies in between leaves the entry
pending; it is claimed again, and the request id keeps the row from being stored twice.
"""

import os
import socket
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import cast
from uuid import UUID

import redis
import structlog
from django.conf import settings
from django.db import connection

from inference.usage import cells, totals
from inference.usage.charges import charges_of
from inference.usage.models import UsageRecord
from inference.usage.records import Malformed, read_record
from kernel.tenancy.scope import acting_for
from tenants.access.services import uses
from tenants.limits.services import spend
from tenants.organizations.models import Project

STREAM = "lw:usage"
GROUP = "usage"
DEAD = "lw:usage:dead"
DEAD_LENGTH = 10_000
BATCH = 500
MAX_BATCHES = 40
# Longer than any batch takes: what is pending longer belongs to a process that died.
ABANDONED_MILLISECONDS = 60_000
MONTHS_AHEAD = 3

Entry = tuple[bytes, Mapping[bytes, bytes]]

log = structlog.get_logger()


def drain(*, abandoned_milliseconds: int = ABANDONED_MILLISECONDS) -> int:
    """Store what waits on the stream; answers how many entries left it. Raises `redis.RedisError`."""
    _ensure_group()
    done = 0
    for _ in range(MAX_BATCHES):
        entries = _abandoned(abandoned_milliseconds) or _fresh()
        if not entries:
            break
        store(entries)
        forget([entry_id for entry_id, _ in entries])
        done += len(entries)
    return done


def store(entries: list[Entry]) -> None:
    """Write the entries' records, those of each organization in its own scope; set the unusable aside."""
    by_organization: dict[UUID, list[tuple[Entry, UsageRecord]]] = defaultdict(list)
    for entry in entries:
        try:
            record = read_record(entry[1])
        except Malformed as fault:
            _set_aside(entry, f"malformed: {fault}")
        else:
            by_organization[record.organization_id].append((entry, record))
    for organization_id, found in by_organization.items():
        _store_for(organization_id, found)


def forget(entry_ids: list[bytes]) -> None:
    """Acknowledge entries and take them off the stream."""
    pipeline = _valkey().pipeline(transaction=True)
    pipeline.xack(STREAM, GROUP, *entry_ids)
    pipeline.xdel(STREAM, *entry_ids)
    pipeline.execute()


def make_partitions() -> int:
    """Make the partitions of this month and the next ones; answers how many were missing."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT usage_make_partitions(%s)", [MONTHS_AHEAD])
        return int(cursor.fetchone()[0])


def _store_for(organization_id: UUID, found: list[tuple[Entry, UsageRecord]]) -> None:
    with acting_for(organization_id):
        own = set(
            Project.objects.filter(pk__in={record.project_id for _, record in found}).values_list(
                "pk", flat=True
            )
        )
        records = [record for _, record in found if record.project_id in own]
        _store_once(records)
        uses.write_uses(_last_uses(records))
    for entry, record in found:
        if record.project_id not in own:
            _set_aside(entry, "foreign: the project is not the organization's", request_id=str(record.id))


def _last_uses(records: list[UsageRecord]) -> dict[UUID, datetime]:
    """When each key among the records was used last."""
    found: dict[UUID, datetime] = {}
    for record in records:
        if record.key_id is not None:
            found[record.key_id] = max(record.started_at, found.get(record.key_id, record.started_at))
    return found


def _store_once(records: list[UsageRecord]) -> None:
    """Store what is not stored yet, charge for it and count it, in the current organization."""
    totals.lock()
    known = set(
        UsageRecord.objects.filter(pk__in=[record.id for record in records]).values_list("pk", flat=True)
    )
    fresh = list({record.id: record for record in reversed(records) if record.id not in known}.values())
    charges = charges_of(fresh)
    for record, cost in zip(fresh, spend.charge(charges), strict=True):
        record.cost_microunits = cost
    UsageRecord.objects.bulk_create(fresh)
    totals.add(
        cells.added_up(
            (cells.cell_of(record, user_id=charge.user_id), cells.sums_of(record))
            for record, charge in zip(fresh, charges, strict=True)
        )
    )


def _set_aside(entry: Entry, reason: str, **ids: str) -> None:
    entry_id, fields = entry
    _valkey().xadd(
        DEAD,
        {**fields, b"entry_id": entry_id, b"reason": reason.encode()},  # type: ignore[dict-item]
        maxlen=DEAD_LENGTH,
        approximate=True,
    )
    log.error("usage.record_set_aside", entry_id=entry_id.decode(), reason=reason, **ids)


def _abandoned(milliseconds: int) -> list[Entry]:
    answer = _valkey().xautoclaim(STREAM, GROUP, _name(), milliseconds, count=BATCH)
    # Entries that were deleted meanwhile come without fields.
    return [entry for entry in cast(list[list[Entry]], answer)[1] if entry[1]]


def _fresh() -> list[Entry]:
    answer = _valkey().xreadgroup(GROUP, _name(), {STREAM: ">"}, count=BATCH)
    return cast(list[tuple[bytes, list[Entry]]], answer)[0][1] if answer else []


def _ensure_group() -> None:
    try:
        _valkey().xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    except redis.ResponseError as fault:
        if "BUSYGROUP" not in str(fault):
            raise


def _name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


@lru_cache(maxsize=1)
def _valkey() -> redis.Redis:
    return redis.Redis.from_url(
        settings.VALKEY_URL, protocol=2, socket_timeout=5, socket_connect_timeout=5, health_check_interval=30
    )
