"""Rows of files that name somebody or were named themselves: files are rewritten without them."""

from collections.abc import Iterator, Sequence
from itertools import chain
from uuid import UUID

from kernel import ids
from kernel.audit.log import record
from kernel.ids import uuid7
from kernel.ports.erasure import Beat, Fate, Keeper, Subject, Trace, keeps
from kernel.storage import objects
from kernel.storage.chunks import ChunkStream
from kernel.storage.names import object_key
from kernel.tenancy.scope import acting_for
from tenants.access.services.grants import move_grants
from tenants.datasets import execution, services
from tenants.datasets.formats.raw import HEADER, RawRow, raw_rows
from tenants.datasets.happenings import tell
from tenants.datasets.models import DatasetVersion, File, FileState, state_at_first
from tenants.organizations.services import holds

BATCH = 100
ROWS_PER_BEAT = 1_000
KIND = "rows of files"
NAMES = "names of deleted files"


@keeps
class RowsOfFiles(Keeper):
    """Rows in files and in the dataset versions made of them, which have the same rows."""

    name = "rows"

    def find(self, subject: Subject, found: Sequence[Trace], beat: Beat) -> Iterator[Trace]:
        """Each file with rows that hold one of the words or were named. Raises `NotFound`."""
        if subject.words or subject.rows:
            for file in _files(subject):
                beat()
                named = subject.is_named_in(file.filename)
                if file.deleted_at is not None:
                    if named:
                        yield Trace(kind=NAMES, place=file.public_id, count=1, fate=Fate.CLEARED)
                    continue
                count = sum(1 for row in _rows(file, beat) if is_meant(subject, file, row))
                if count or named:
                    yield _trace(file, count)

    def erase(self, subject: Subject, traces: Sequence[Trace], beat: Beat) -> None:
        """Rewrite each file without the rows. Raises `UnderLegalHold`, `StorageUnavailable`."""
        for trace in traces:
            with acting_for(subject.organization_id):
                file = File.objects.get(pk=ids.parse("file", trace.place))
                if file.deleted_at is None:
                    holds.require_free(files=[file.pk])
            if file.deleted_at is None:
                _replace(subject, file, UUID(trace.details["replacement"]), beat)
            execution.remove_bytes(subject.organization_id, file.pk)
            if subject.is_named_in(file.filename):
                with acting_for(subject.organization_id):
                    File.objects.filter(pk=file.pk).update(filename=_anonymous(file.filename))


def is_meant(subject: Subject, file: File, row: RawRow) -> bool:
    """Whether a row of the file is to go."""
    if row.number == HEADER:
        return False
    return row.number in subject.rows.get(file.pk, ()) or any(subject.is_named_in(text) for text in row.texts)


def _trace(file: File, count: int) -> Trace:
    with acting_for(file.organization_id):
        versions = [version.public_id for version in DatasetVersion.objects.filter(file=file).order_by("pk")]
    return Trace(
        kind=KIND,
        place=file.public_id,
        count=count,
        fate=Fate.REWRITTEN,
        because="The file and its dataset versions are replaced by a copy without the rows.",
        details={"dataset_versions": versions, "replacement": str(uuid7())},
    )


def _files(subject: Subject) -> Iterator[File]:
    """The files to look through: all, deleted ones for their names, or those of which rows were named."""
    after: UUID | None = UUID(int=0)
    named = None if subject.words else list(subject.rows)
    while after is not None:
        with acting_for(subject.organization_id):
            rows = File.objects.filter(pk__gt=after)
            batch = list((rows if named is None else rows.filter(pk__in=named)).order_by("pk")[:BATCH])
        yield from batch
        after = batch[-1].pk if batch else None


def _rows(file: File, beat: Beat) -> Iterator[RawRow]:
    stored = objects.open_object(file.organization_id, file.object_key)
    is_table = file.state == FileState.PROCESSED and file.filename.lower().endswith(".csv")
    for place, row in enumerate(raw_rows(stored, is_table=is_table)):
        if place % ROWS_PER_BEAT == 0:
            beat()
        yield row


def _replace(subject: Subject, file: File, replacement_id: UUID, beat: Beat) -> None:
    """Store the rows that stay under a new file, and leave a tombstone in the old one's place."""
    staying = (row.raw for row in _rows(file, beat) if not is_meant(subject, file, row))
    first = next(staying, None)
    stored = None
    if first is not None:
        key = object_key(file.organization_id, "files", replacement_id)
        stored = objects.put(file.organization_id, key, ChunkStream(chain([first], staying)))
    with acting_for(file.organization_id):
        current = File.objects.select_for_update().get(pk=file.pk)
        if current.deleted_at is None:
            if stored is not None:
                _register(subject, current, replacement_id, stored)
            services.delete_file(current)
            return
    # Somebody deleted it meanwhile: what was copied of it must not stay.
    if stored is not None:
        objects.delete(file.organization_id, stored.key)


def _register(subject: Subject, file: File, replacement_id: UUID, stored: objects.StoredObject) -> None:
    named = subject.is_named_in(file.filename)
    copy: File = File.objects.create(
        id=replacement_id,
        filename=_anonymous(file.filename) if named else file.filename,
        bytes=stored.bytes,
        sha256=stored.sha256_of_plaintext,
        object_key=stored.key,
        state=state_at_first(file.purpose),
        **{name: getattr(file, name) for name in _COPIED},
    )
    File.objects.filter(pk=file.pk).update(replaced_by=copy)
    move_grants(file, copy)
    record("file.erase_rows", file.public_id, replaced_by=copy.public_id)
    tell("tenants.file.uploaded.v1", copy)


_COPIED = (
    "project_id",
    "created_by_id",
    "purpose",
    "restricted",
    "legal_basis",
    "processing_purpose",
    "consent_reference",
    "training_allowed",
    "expires_at",
)


def _anonymous(filename: str) -> str:
    """A name that says no more than which form the file has."""
    return "erased.csv" if filename.lower().endswith(".csv") else "erased.jsonl"
