"""Files that the platform makes for a project: stored first, registered by whoever made them."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db.models.functions import Now

from kernel import ids
from kernel.audit.log import record
from kernel.crypto.streams import Readable
from kernel.storage import objects
from kernel.storage.names import object_key
from tenants.access.services.grants import copy_grants
from tenants.datasets.happenings import tell
from tenants.datasets.models import File, Purpose, state_at_first


@dataclass(frozen=True)
class Making:
    """What the file is to be; `expires_after_seconds` counts from now."""

    filename: str
    purpose: Purpose
    created_by_id: UUID | None
    expires_after_seconds: int | None = None


@dataclass(frozen=True)
class Stored:
    """Bytes that lie where the file of this id will have them."""

    file_id: UUID
    content: objects.StoredObject


def store(organization_id: UUID, stream: Readable) -> Stored:
    """Encrypt and store the bytes of a file to be, in constant memory; outside any transaction.

    Raises `StorageUnavailable`, and whatever reading the stream raises.
    """
    file_id = ids.uuid7()
    return Stored(
        file_id, objects.put(organization_id, object_key(organization_id, "files", file_id), stream)
    )


def register(stored: Stored, making: Making, *, source: File) -> File:
    """Make the file in the current organization and in the project of the file that it was made from.

    Whoever reaches that one reaches this one. It counts as storage whether or not there is room for it.
    """
    seconds = making.expires_after_seconds
    file: File = File.objects.create(
        id=stored.file_id,
        project_id=source.project_id,
        created_by_id=making.created_by_id,
        filename=making.filename,
        purpose=making.purpose,
        bytes=stored.content.bytes,
        sha256=stored.content.sha256_of_plaintext,
        object_key=stored.content.key,
        state=state_at_first(making.purpose),
        restricted=source.restricted,
        expires_at=Now() + timedelta(seconds=seconds) if seconds else None,
    )
    copy_grants(source, file)
    record("file.make", file.public_id, bytes=file.bytes, source=source.public_id)
    tell("tenants.file.uploaded.v1", file)
    return file
