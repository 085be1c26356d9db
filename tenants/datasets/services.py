"""What people do with files: bring them and delete them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from django.conf import settings
from django.db.models.functions import Now

from kernel import ids
from kernel.audit.log import record
from kernel.errors import InvalidRequest, NotFound
from kernel.ports.retention import retires
from kernel.storage import objects
from kernel.storage.names import object_key
from kernel.tenancy.scope import acting_for
from tenants.access.principal import Principal
from tenants.access.services import people
from tenants.datasets.errors import BadFilename, FileEmpty, FileTooLarge, UnknownPurpose
from tenants.datasets.happenings import tell
from tenants.datasets.models import File, FileState, LegalBasis, Purpose, state_at_first
from tenants.limits.services import storage
from tenants.limits.services.bounds import Caller
from tenants.organizations.models import Project
from tenants.organizations.services import holds

# What people bring; the output of batches is made here.
BROUGHT = frozenset({Purpose.FINE_TUNE, Purpose.BATCH})
SAMPLES = Path(__file__).parent / "samples"
SAMPLE_FILE = "word_problems.jsonl"


@dataclass(frozen=True)
class Provenance:
    """By which right a file's rows are here, what for, and whether models may learn from them."""

    legal_basis: str = ""
    processing_purpose: str = ""
    consent_reference: str = ""
    training_allowed: bool = True

    def check(self) -> None:
        """Raise `InvalidRequest` where it contradicts itself."""
        if self.legal_basis == LegalBasis.CONSENT and not self.consent_reference:
            raise InvalidRequest(
                "Consent needs its reference: where it is recorded that the people agreed.",
                param="consent_reference",
            )


class Upload(Protocol):
    """An uploaded file, as far as it is needed."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end."""
        ...


@dataclass(frozen=True)
class FileFacts:
    """What the sender says of a file."""

    filename: str
    purpose: str
    size_bytes: int

    def check(self) -> None:
        """Raise the fault that these facts have."""
        if self.purpose not in BROUGHT:
            raise UnknownPurpose(param="purpose")
        if not 0 < len(self.filename) <= 255 or not self.filename.isprintable():
            raise BadFilename(param="file")
        if self.size_bytes == 0:
            raise FileEmpty(param="file")
        if self.size_bytes > settings.MAX_FILE_BYTES:
            limit = settings.MAX_FILE_BYTES // (1024 * 1024)
            raise FileTooLarge(f"The file has more than {limit} MiB; split it.", param="file")


def bring_file(stream: Upload, facts: FileFacts, *, by: Principal) -> File:
    """Encrypt and store the bytes, then register the file; validation follows by event.

    The bytes are stored before the row exists: a crash in between leaves an unreadable orphan object and
    never a file without bytes. Opens its own scope. Raises the faults of `tenants.datasets.errors`, and
    `StorageLimitReached`.
    """
    facts.check()
    file_id = ids.uuid7()
    key = object_key(by.organization_id, "files", file_id)
    with acting_for(by.organization_id):
        storage.reserve(file_id, facts.size_bytes, Caller(by.project_id, by.user_id))
    try:
        stored = objects.put(by.organization_id, key, stream)
    except BaseException:
        with acting_for(by.organization_id):
            storage.release(file_id)
        raise
    with acting_for(by.organization_id):
        storage.release(file_id)
        file: File = File.objects.create(
            id=file_id,
            project=Project.objects.get(pk=by.project_id),
            created_by=people.person_of(by),
            filename=facts.filename,
            purpose=facts.purpose,
            bytes=stored.bytes,
            sha256=stored.sha256_of_plaintext,
            object_key=key,
            state=state_at_first(facts.purpose),
        )
        record("file.upload", file.public_id, bytes=file.bytes)
        tell("tenants.file.uploaded.v1", file)
        file.refresh_from_db()
    return file


def bring_sample(by: Principal) -> File:
    """Bring the bundled sample data as if the caller had uploaded it."""
    path = SAMPLES / SAMPLE_FILE
    with path.open("rb") as stream:
        return bring_file(stream, FileFacts(SAMPLE_FILE, Purpose.FINE_TUNE, path.stat().st_size), by=by)


def delete_file(file: File) -> None:
    """Leave a tombstone; the bytes go by event, after this transaction is safe.

    Raises `NotFound`, `UnderLegalHold`.
    """
    holds.require_free(files=[file.pk])
    changed = File.objects.filter(pk=file.pk, deleted_at=None).update(
        state=FileState.DELETED, deleted_at=Now()
    )
    if not changed:
        raise NotFound(f"There is no file '{file.public_id}'.")
    record("file.delete", file.public_id)
    tell("tenants.file.deleted.v1", file)


def provenance_of(file: File) -> Provenance:
    """What is recorded of a file."""
    return Provenance(**{name: getattr(file, name) for name in Provenance.__dataclass_fields__})


def record_provenance(file: File, provenance: Provenance) -> None:
    """Say by which right a file's rows are here; jobs that have not begun are held to it. Twice is once.

    Raises `InvalidRequest`.
    """
    provenance.check()
    before = provenance_of(file)
    if provenance == before:
        return
    File.objects.filter(pk=file.pk).update(**asdict(provenance))
    record("file.provenance", file.public_id, before=asdict(before), after=asdict(provenance))
    file.refresh_from_db()


@retires(File)
def retire_files(files: Sequence[File]) -> None:
    """Files whose time is over are deleted as a person would: tombstones, the bytes by event."""
    for file in files:
        delete_file(file)
