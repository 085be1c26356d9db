"""Seal the audit log: chain what was committed, of all organizations, each second.

Entries are written unchained, since chaining inside the act's transaction would make all acts of an
organization wait for one another. The database notes each entry as unsealed in the entry's own transaction;
what is noted is sealed, in whatever order transactions end, once.
"""

import json
import threading
import time
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import structlog
from django.db import connection

from kernel.audit.canonical import NOTHING_BEFORE, Entry, Link, entry_hash
from kernel.audit.checkpoints import CHECKPOINT_SECONDS, make_due_checkpoints
from kernel.audit.models import UnsealedEntry
from kernel.tenancy.scope import across_tenants

BATCH = 2_000
EVERY_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 10.0
# Any number that nothing else in the database locks: two sealers wait for one another.
SEALER = 7_203_118
# The columns are those of `Entry`, in its order. Each entry is looked up by its id: joined plainly, the whole
# log would be read for every batch, since a batch looks like much of a log that the planner believes short.
_WAITING = """
SELECT waiting.id, entry.* FROM (SELECT id FROM audit_unsealedentry ORDER BY id LIMIT %s) AS waiting
LEFT JOIN LATERAL (
    SELECT organization_id, id, occurred_at, actor, action, target, outcome, request_id, person,
        address_commitment, details
    FROM audit_auditentry WHERE id = waiting.id LIMIT 1
) AS entry ON true ORDER BY waiting.id
"""
_WAIT_NO_MORE = "DELETE FROM audit_unsealedentry WHERE id = ANY(string_to_array(%s, ',')::uuid[])"
_HEADS = """
SELECT seal.organization_id, seal.sequence, seal.hash
FROM unnest(%s::uuid[]) AS organization (id) CROSS JOIN LATERAL (
    SELECT organization_id, sequence, hash FROM audit_auditseal
    WHERE organization_id = organization.id ORDER BY sequence DESC LIMIT 1
) AS seal
"""
# Columns as comma-separated texts: writing them as arrays was a quarter of what sealing costs.
_SEAL = """
INSERT INTO audit_auditseal (id, organization_id, sequence, previous_hash, hash)
SELECT id::uuid, organization::uuid, sequence::bigint, decode(previous, 'hex'), decode(hash, 'hex')
FROM unnest(
    string_to_array(%s, ','), string_to_array(%s, ','), string_to_array(%s, ','), string_to_array(%s, ','),
    string_to_array(%s, ',')
) AS seal (id, organization, sequence, previous, hash)
"""
_FORGOTTEN = """
INSERT INTO audit_unsealedentry (id, organization_id)
SELECT entry.id, entry.organization_id FROM audit_auditentry AS entry
WHERE NOT EXISTS (SELECT FROM audit_auditseal AS seal WHERE seal.id = entry.id)
ON CONFLICT DO NOTHING
"""

log = structlog.get_logger()


def run(stopping: threading.Event) -> None:
    """Seal each second and make checkpoints each minute, until `stopping` is set."""
    backoff, checkpoints_due = EVERY_SECONDS, time.monotonic() + CHECKPOINT_SECONDS
    while not stopping.wait(backoff):
        try:
            seal_everything(stopping)
            if time.monotonic() >= checkpoints_due:
                make_due_checkpoints()
                checkpoints_due = time.monotonic() + CHECKPOINT_SECONDS
            backoff = EVERY_SECONDS
        except Exception:
            # The database or the object store is away: entries wait, nothing is lost.
            log.exception("audit.sealing_failed", retry_in_seconds=backoff)
            connection.close()
            backoff = min(backoff * 2, MAX_BACKOFF_SECONDS)
    connection.close()


def seal_everything(stopping: threading.Event | None = None) -> int:
    """Seal what waits now, or as much as is done when `stopping` is set; answers how many entries.

    A batch that is not full was all that waited. What came meanwhile is left to the next call: where somebody
    always writes, there would be no end.
    """
    sealed = count = seal_waiting()
    while count == BATCH and not (stopping is not None and stopping.is_set()):
        count = seal_waiting()
        sealed += count
    return sealed


def seal_waiting() -> int:
    """Seal up to a batch of entries that wait, in one transaction; answers how many were looked at."""
    with across_tenants(), connection.cursor() as cursor:
        if not UnsealedEntry.objects.exists():
            return 0
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [SEALER])
        # Looked at under the lock: what another sealer did meanwhile does not wait any more.
        cursor.execute(_WAITING, [BATCH])
        rows = cursor.fetchall()
        # One that was erased with its organization before its turn has no columns.
        _seal([_entry(row) for row in rows if row[1] is not None])
        cursor.execute(_WAIT_NO_MORE, [",".join(row[0].hex for row in rows)])
    return len(rows)


def note_forgotten() -> int:
    """Have every entry sealed that is neither sealed nor noted as waiting; answers how many there were.

    There are none, unless somebody removed the note. Looks at every entry: for the daily schedule.
    """
    with across_tenants(), connection.cursor() as cursor:
        cursor.execute(_FORGOTTEN)
        found = int(cursor.rowcount)
    if found:
        log.error("audit.entries_were_not_noted", count=found)
    return found


def _entry(row: tuple[Any, ...]) -> Entry:
    *columns, commitment, details = row[1:]
    values: tuple[Any, ...] = (*columns, bytes(commitment), json.loads(details))
    return Entry(*values)


def _seal(entries: list[Entry]) -> None:
    heads = _heads({entry.organization_id for entry in entries})
    links: list[Link] = []
    for entry in entries:
        sequence, previous = heads.get(entry.organization_id, (0, NOTHING_BEFORE))
        link = Link(sequence, previous, entry_hash(entry, sequence, previous))
        links.append(link)
        heads[entry.organization_id] = (sequence + 1, link.hash)
    with connection.cursor() as cursor:
        cursor.execute(
            _SEAL,
            [
                ",".join(entry.id.hex for entry in entries),
                ",".join(entry.organization_id.hex for entry in entries),
                ",".join(str(link.sequence) for link in links),
                ",".join(link.previous_hash.hex() for link in links),
                ",".join(link.hash.hex() for link in links),
            ],
        )


def _heads(organizations: Iterable[UUID]) -> dict[UUID, tuple[int, bytes]]:
    """The next place in the chain of each organization, and the hash of its last entry."""
    with connection.cursor() as cursor:
        cursor.execute(_HEADS, [list(organizations)])
        return {row[0]: (row[1] + 1, bytes(row[2])) for row in cursor.fetchall()}
