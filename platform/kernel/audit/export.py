"""Export an organization's audit log so that anybody can verify it with the public key alone.

Every export stands for the whole log: entries that a filter leaves out are replaced by the roots of their
Merkle subtrees, so that what is shown still adds up to what was signed.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from django.db.models import Q
from django.utils.dateparse import parse_datetime

from kernel.audit import sealing
from kernel.audit.canonical import Link
from kernel.audit.checkpoints import make_checkpoint, told
from kernel.audit.lines import FORMAT, Line, Running, entry_line, omitted_line, signed_header
from kernel.audit.log import record
from kernel.audit.merkle import Range
from kernel.audit.models import AuditCheckpoint, AuditEntry, AuditSeal
from kernel.audit.statements import export_end, moment
from kernel.crypto import signing
from kernel.ids import render
from kernel.tenancy.scope import acting_for

PAGE = 1_000


@dataclass(frozen=True)
class Wanted:
    """Which entries to show; empty shows all of them."""

    since: datetime | None = None
    until: datetime | None = None
    actors: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()

    def query(self) -> Q:
        """As a condition on entries."""
        wanted = Q()
        if self.since:
            wanted &= Q(occurred_at__gte=self.since)
        if self.until:
            wanted &= Q(occurred_at__lt=self.until)
        if self.actors:
            wanted &= Q(actor__in=self.actors)
        if self.actions:
            wanted &= Q(action__in=self.actions)
        if self.targets:
            wanted &= Q(target__in=self.targets)
        return wanted

    def told(self) -> Line:
        """As the header and the log say it."""
        bounds = {"since": self.since, "until": self.until}
        lists = {"actors": self.actors, "actions": self.actions, "targets": self.targets}
        return {name: moment(at) for name, at in bounds.items() if at} | {
            name: list(values) for name, values in lists.items() if values
        }


def read_bound(text: str) -> datetime:
    """A bound in time as people write it (RFC 3339, with its offset). Raises `ValueError`."""
    found = parse_datetime(text)
    if found is None or found.tzinfo is None:
        raise ValueError("It is no time with an offset.")
    try:
        # PostgreSQL knows no offset of more than 16 hours.
        return found.astimezone(UTC)
    except OverflowError:
        raise ValueError("It is beyond all time.") from None


def export(organization_id: UUID, wanted: Wanted) -> Iterator[bytes]:
    """The lines of an export of everything up to now, which is recorded itself.

    At once it records, seals and makes the checkpoint; then each page is read in a scope of its own, so that
    memory and transactions stay small however long the log is. Raises `StorageUnavailable`,
    `KeyUnavailable`, `KeyDestroyed`.
    """
    with acting_for(organization_id):
        record("audit.export", render("org", organization_id), filters=wanted.told())
    sealing.seal_everything()
    checkpoint = make_checkpoint(organization_id)
    assert checkpoint is not None, "the export itself is an entry"
    return _lines(checkpoint, wanted)


def _lines(last: AuditCheckpoint, wanted: Wanted) -> Iterator[bytes]:
    running = Running()
    yield running.written(_header(last, wanted))
    omitted = Range()
    for begin in range(0, last.entries, PAGE):
        page = _page(last, wanted, begin)
        lines = list(_of_page(page, omitted))
        omitted = page.omitted
        yield from map(running.written, lines)
    if omitted.end > omitted.begin:
        yield running.written(omitted_line(omitted.begin, omitted.end, omitted.nodes))
    yield running.written({"type": "checkpoint", **told(last)})
    yield running.written(_end(last, running))


@dataclass
class Page:
    """A part of the chain: its links, what is shown of it, and the checkpoints that were made in it.

    `omitted` is what the last lines of it leave out and no line says yet.
    """

    links: list[tuple[UUID, Link]]
    shown: dict[UUID, AuditEntry]
    checkpoints: dict[int, AuditCheckpoint]
    omitted: Range


def _page(last: AuditCheckpoint, wanted: Wanted, begin: int) -> Page:
    end = min(begin + PAGE, last.entries)
    with acting_for(last.organization_id):
        seals = AuditSeal.objects.filter(sequence__gte=begin, sequence__lt=end).order_by("sequence")
        links = [
            (pk, Link(sequence, bytes(previous), bytes(own)))
            for pk, sequence, previous, own in seals.values_list("pk", "sequence", "previous_hash", "hash")
        ]
        entries = AuditEntry.objects.filter(wanted.query(), pk__in=[pk for pk, _ in links])
        made = AuditCheckpoint.objects.filter(entries__gt=begin, entries__lte=end)
        checkpoints = {one.entries: one for one in made.exclude(pk=last.pk)}
        return Page(links, {entry.pk: entry for entry in entries}, checkpoints, Range(end))


def _of_page(page: Page, omitted: Range) -> Iterator[Line]:
    for pk, link in page.links:
        entry = page.shown.get(pk)
        if entry is None:
            omitted.add_leaf(link.hash)
            continue
        if omitted.end > omitted.begin:
            yield omitted_line(omitted.begin, omitted.end, omitted.nodes)
        yield entry_line(entry.to_seal(), link, entry.disclosed_address())
        omitted = Range(link.sequence + 1)
        # One made amid what is left out would cut it in two for nothing.
        if checkpoint := page.checkpoints.get(link.sequence + 1):
            yield {"type": "checkpoint", **told(checkpoint)}
    page.omitted = omitted


def _header(last: AuditCheckpoint, wanted: Wanted) -> Line:
    header: Line = {
        "type": "header",
        "format": FORMAT,
        "organization": render("org", last.organization_id),
        "organization_id": str(last.organization_id),
        "entries": last.entries,
        "filters": wanted.told(),
        "exported_at": moment(last.made_at),
        "key_id": signing.signing_keys().current,
    }
    signature = signing.sign(signed_header(header))
    return {**header, "signature": base64.b64encode(signature.value).decode()}


def _end(last: AuditCheckpoint, running: Running) -> Line:
    signature = signing.sign(export_end(last.organization_id, running.lines, running.digest.digest()))
    value = base64.b64encode(signature.value).decode()
    return {"type": "end", "lines": running.lines, "key_id": signature.key_id, "signature": value}
