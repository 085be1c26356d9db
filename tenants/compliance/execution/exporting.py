"""What a worker does for an export: the rows of each kind, then the archive of them and the stored files.

Each kind's rows are stored as they are done, so that an export whose worker is killed goes on after them.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from datetime import timedelta
from hashlib import sha256
from itertools import chain
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from kernel import ids
from kernel.audit.log import record
from kernel.ids import uuid7
from kernel.storage import objects
from kernel.storage.chunks import ChunkStream
from kernel.storage.errors import ObjectMissing
from kernel.storage.names import object_key
from kernel.tenancy.scope import acting_for
from tenants.compliance import holdings, work
from tenants.compliance.accounts import account_of
from tenants.compliance.execution import records
from tenants.compliance.execution.archive import Entry, Written, packed
from tenants.compliance.models import Export, ExportPart, ExportState
from tenants.compliance.work import Grip
from tenants.organizations.models import Organization

ROOM = "exports"
NOTHING = objects.StoredObject("", 0, sha256(b"").hexdigest())
README = """What this is
============

A copy of what {held}, made by Loomworks on request {export}.

rows/       one file for each kind of data, one row a line, in JSON (JSON Lines, UTF-8)
objects/    the stored files that rows name, under the row's kind and id
manifest.json   every file of this copy with its length, its SHA-256 and the number of its rows

Ids are those that the programming interface shows, as plain UUIDs. Times are UTC. Secrets (keys, tokens,
passwords) are withheld. A null in place of a text says that its key was destroyed: nobody can read it.
"""


def run_export(organization_id: UUID, export_id: UUID) -> None:
    """Bring an export to its end, or as far as it goes; safe to repeat."""
    grip = work.take(Export, organization_id, export_id)
    if grip is None:
        return
    with work.guarded(grip):
        _Exporting(grip).run()
    _tidy(organization_id, export_id)


class _Exporting:
    """One run of one export."""

    def __init__(self, grip: Grip) -> None:
        self.grip = grip
        self.organization_id = grip.organization_id
        with acting_for(grip.organization_id):
            self.export: Export = Export.objects.get(pk=grip.id)
        self.addresses = holdings.address_of(self.export.person) if self.export.person else ()
        self.missing: list[str] = []

    def run(self) -> None:
        """Store the rows, then the archive."""
        tables = holdings.tables()
        self.grip.change(total=sum(self._count(model) for model in tables))
        for model in tables:
            self._store_part(model)
        key = object_key(self.organization_id, ROOM, uuid7())
        stored = objects.put(self.organization_id, key, ChunkStream(packed(self._entries(), self._closing)))
        try:
            self._conclude(stored)
        except work.Lost:
            objects.delete(self.organization_id, key)
            raise

    def _conclude(self, stored: objects.StoredObject) -> None:
        with acting_for(self.organization_id):
            self.grip.settle(
                state=ExportState.READY,
                # Rows came and went meanwhile.
                total=self.grip.done,
                object_key=stored.key,
                bytes=stored.bytes,
                sha256=stored.sha256_of_plaintext,
                fault="",
                finished_at=Now(),
                expires_at=Now() + timedelta(days=settings.EXPORT_KEPT_DAYS),
            )
            record("export.finish", self.export.public_id, bytes=stored.bytes)

    def _which(self, model: holdings.Model) -> Q:
        if self.export.person is None:
            return Q()
        return model.holding.about(self.export.person, self.addresses)

    def _count(self, model: holdings.Model) -> int:
        with acting_for(self.organization_id):
            return model.objects.filter(self._which(model)).count()

    def _store_part(self, model: holdings.Model) -> None:
        name = name_of(model)
        with acting_for(self.organization_id):
            before = ExportPart.objects.filter(export=self.export, name=name).first()
        if before is not None:
            self.grip.advance(before.rows)
            return
        begun, lines = self.grip.done, self._lines(model)
        first = next(lines, None)
        if first is None:
            # Most tables have nothing about one person: no object is stored for them.
            stored = NOTHING
        else:
            key = object_key(self.organization_id, ROOM, uuid7())
            stored = objects.put(self.organization_id, key, ChunkStream(chain([first], lines)))
        with acting_for(self.organization_id):
            ExportPart.objects.create(
                export=self.export,
                name=name,
                rows=self.grip.done - begun,
                bytes=stored.bytes,
                sha256=stored.sha256_of_plaintext,
                object_key=stored.key,
            )

    def _lines(self, model: holdings.Model) -> Iterator[bytes]:
        for rows in holdings.batches(self.organization_id, model, self._which(model), self.grip.beat):
            with acting_for(self.organization_id):
                lines = [records.line_of(row, model.holding) for row in rows]
            yield b"".join(lines)
            self.grip.advance(len(rows))

    def _entries(self) -> Iterator[Entry]:
        yield Entry("README.txt", lambda: [self._readme()])
        if self.export.is_own and self.export.person is not None:
            yield _of_json("account.json", account_of(self.export.person))
        if self.export.person is None:
            yield _of_json("organization.json", self._organization())
        with acting_for(self.organization_id):
            parts = list(ExportPart.objects.filter(export=self.export).order_by("name"))
        for part in parts:
            yield Entry(part.name, self._reading(part.object_key), rows=part.rows)
        if self.export.person is None:
            yield from self._files()

    def _files(self) -> Iterator[Entry]:
        for model in holdings.tables():
            if not model.holding.objects or model in (Export, ExportPart):
                continue
            for rows in holdings.batches(self.organization_id, model, Q(), self.grip.beat):
                for row in rows:
                    yield from self._objects_of(row)

    def _objects_of(self, row: models.Model) -> Iterator[Entry]:
        for place, key in enumerate(holdings.object_keys(row)):
            name = f"objects/{slug_of(row.holding.kind)}/{row.pk}"  # type: ignore[attr-defined]
            name = f"{name}.{place}" if place else name
            if objects.exists(self.organization_id, key):
                yield Entry(name, self._reading(key))
            else:
                self.missing.append(name)

    def _reading(self, key: str) -> Callable[[], Iterable[bytes]]:
        def read() -> Iterator[bytes]:
            if not key:
                return
            for chunk in objects.get(self.organization_id, key):
                self.grip.beat()
                yield chunk

        return read

    def _closing(self, written: list[Written]) -> Iterator[Entry]:
        manifest = {
            "export": self.export.public_id,
            "organization": ids.render("org", self.organization_id),
            "person": ids.render("user", self.export.person) if self.export.person else None,
            "requested_at": self.export.created_at.isoformat(),
            "software": settings.VERSION,
            "files": [asdict(one) for one in written],
            "objects_deleted_meanwhile": self.missing,
        }
        yield _of_json("manifest.json", manifest)

    def _readme(self) -> bytes:
        held = "an organization holds" + (" about a person" if self.export.person else "")
        return README.format(held=held, export=self.export.public_id).encode()

    def _organization(self) -> dict[str, Any]:
        with acting_for(self.organization_id):
            row = Organization.objects.get(pk=self.organization_id)
        return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def slug_of(kind: str) -> str:
    """A kind as part of a file's name."""
    return "".join(letter if letter.isalnum() else "-" for letter in kind)


def name_of(model: holdings.Model) -> str:
    """The file that holds a table's rows; tables of one kind are told apart by their names."""
    alike = sum(1 for other in holdings.tables() if other.holding.kind == model.holding.kind)
    table = f".{model._meta.model_name}" if alike > 1 else ""
    return f"rows/{slug_of(model.holding.kind)}{table}.jsonl"


def _of_json(name: str, value: Any) -> Entry:
    return Entry(name, lambda: [orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2)])


def _tidy(organization_id: UUID, export_id: UUID) -> None:
    """The parts are of no use once the export has ended; what is not removed now goes with the export."""
    with acting_for(organization_id):
        ended = Export.objects.filter(pk=export_id).exclude(state=ExportState.RUNNING).exists()
        parts = list(ExportPart.objects.filter(export_id=export_id)) if ended else []
    if parts:
        try:
            holdings.remove(organization_id, parts)
        except ObjectMissing:
            return
