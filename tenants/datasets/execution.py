"""What a worker does with files: validate them, make dataset versions, remove the bytes of deleted ones."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import IO
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now

from kernel import ids
from kernel.audit.log import record
from kernel.storage import objects
from kernel.storage.chunks import ChunkStream
from kernel.storage.names import object_key
from kernel.tenancy.scope import across_tenants, acting_for
from tenants.datasets.formats.detection import open_rows
from tenants.datasets.formats.rows import Findings, Problem
from tenants.datasets.happenings import tell
from tenants.datasets.models import DatasetVersion, File, FileState, Validation

MEMORY_BYTES = 4 * 1024 * 1024
REVIVED_AT_ONCE = 100
WAITING_AGE = timedelta(seconds=60)
VALIDATING_AGE = timedelta(minutes=10)


@dataclass
class Tally:
    """What has been found so far; problems are spooled, since there may be one for each row."""

    problems: IO[bytes]
    rows: int = 0
    valid_rows: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def usable(self, findings: Findings) -> Iterator[bytes]:
        """The canonical lines of usable rows; problems go to the spool on the way."""
        seen = 0
        for finding in findings:
            if isinstance(finding, Problem):
                self.counts[finding.code] += 1
                self.problems.write(finding.line())
                seen = max(seen, finding.row)
            else:
                seen = max(seen, finding.number)
                self.valid_rows += 1
                yield finding.canonical()
            self.rows = seen


@dataclass(frozen=True)
class Made:
    """The rows of a file, stored in the one form."""

    id: UUID
    key: str
    digest: str
    bytes: int


@dataclass(frozen=True)
class Outcome:
    """All that is known of a file once it has been read."""

    form: str
    tally: Tally
    made: Made
    problems_key: str


def process_file(organization_id: UUID, file_id: UUID) -> None:
    """Validate a file and make its dataset version; done again from the start after a crash.

    Reads and writes objects outside any transaction. A file that is gone or already done is left alone.
    """
    with acting_for(organization_id):
        file = File.objects.filter(
            pk=file_id, state__in=[FileState.UPLOADED, FileState.VALIDATING], deleted_at=None
        ).first()
        if file is None:
            return
        File.objects.filter(pk=file_id).update(state=FileState.VALIDATING, validating_since=Now())
    with tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES, dir=str(settings.SCRATCH_DIR)) as problems:
        tally = Tally(problems)
        source = objects.open_object(organization_id, file.object_key)
        form, findings = open_rows(source, file.filename)
        made = _store_rows(organization_id, tally.usable(findings))
        problems_key = _store_problems(organization_id, tally) if tally.counts else ""
    with acting_for(organization_id):
        used = _conclude(file, Outcome(form, tally, made, problems_key))
    if not used:
        objects.delete(organization_id, made.key)


def remove_bytes(organization_id: UUID, file_id: UUID) -> None:
    """Delete the objects of a deleted file and of the dataset versions made of it; safe to repeat."""
    with acting_for(organization_id):
        file = File.objects.get(pk=file_id)
        keys = [file.object_key]
        keys += DatasetVersion.objects.filter(file=file).values_list("object_key", flat=True)
        keys += (
            Validation.objects.filter(file=file)
            .exclude(problems_key="")
            .values_list("problems_key", flat=True)
        )
    for key in keys:
        objects.delete(organization_id, key)


def revive_waiting() -> int:
    """Announce again files whose validation was lost with its worker or message; returns how many."""
    lost = Q(state=FileState.UPLOADED, created_at__lt=Now() - WAITING_AGE) | Q(
        state=FileState.VALIDATING, validating_since__lt=Now() - VALIDATING_AGE
    )
    revived, after = 0, UUID(int=0)
    while True:
        # All of them, in batches: files that are lost again and again must not hide the others.
        with across_tenants():
            waiting = list(File.objects.filter(lost, pk__gt=after).order_by("pk")[:REVIVED_AT_ONCE])
        for file in waiting:
            with acting_for(file.organization_id):
                tell("tenants.file.uploaded.v1", file)
        revived += len(waiting)
        if len(waiting) < REVIVED_AT_ONCE:
            return revived
        after = waiting[-1].pk


def _store_rows(organization_id: UUID, lines: Iterator[bytes]) -> Made:
    version_id = ids.uuid7()
    key = object_key(organization_id, "datasets", version_id)
    stored = objects.put(organization_id, key, ChunkStream(lines))
    return Made(version_id, stored.key, stored.sha256_of_plaintext, stored.bytes)


def _store_problems(organization_id: UUID, tally: Tally) -> str:
    tally.problems.seek(0)
    key = object_key(organization_id, "validations", ids.uuid7())
    return objects.put(organization_id, key, tally.problems).key


def _conclude(file: File, outcome: Outcome) -> bool:
    """Record the outcome, unless the file was deleted or concluded meanwhile; whether its rows are used."""
    tally = outcome.tally
    current = File.objects.select_for_update().get(pk=file.pk)
    if current.state != FileState.VALIDATING:
        return False
    Validation.objects.update_or_create(
        file=file,
        defaults={
            "project_id": file.project_id,
            "format": outcome.form,
            "rows": tally.rows,
            "valid_rows": tally.valid_rows,
            "problem_counts": dict(tally.counts),
            "problems_key": outcome.problems_key,
        },
    )
    version = None if tally.counts or not tally.valid_rows else _version(file, outcome)
    current.state = FileState.PROCESSED if version else FileState.INVALID
    current.state_reason = "" if version else _reason(tally)
    current.save(update_fields=["state", "state_reason"])
    tell(
        "tenants.file.validated.v1",
        file,
        state=current.state,
        dataset_version_id=str(version.pk) if version else None,
    )
    return version is not None


def _version(file: File, outcome: Outcome) -> DatasetVersion:
    made = outcome.made
    version: DatasetVersion = DatasetVersion.objects.create(
        id=made.id,
        project_id=file.project_id,
        created_by_id=file.created_by_id,
        file=file,
        digest=made.digest,
        format=outcome.form,
        rows=outcome.tally.valid_rows,
        bytes=made.bytes,
        object_key=made.key,
    )
    record("dataset_version.create", version.public_id, file=file.public_id, rows=version.rows)
    return version


def _reason(tally: Tally) -> str:
    if not tally.counts:
        return "The file has no rows."
    total = sum(tally.counts.values())
    kinds = ", ".join(f"{code} ({count})" for code, count in tally.counts.most_common(5))
    return f"{total} of {tally.rows} rows cannot be used: {kinds}."
