"""The parts of a batch's output files: stored while it runs, then made into the files and removed."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from inference.batches.models import BatchPart, PartKind
from kernel import ids
from kernel.storage import objects
from kernel.storage.chunks import ChunkStream
from kernel.storage.names import object_key
from kernel.tenancy.scope import acting_for


def store(organization_id: UUID, batch_id: UUID, kind: PartKind, lines: Sequence[bytes]) -> BatchPart:
    """Encrypt and store lines; the row is the caller's to save. Raises `StorageUnavailable`."""
    part_id = ids.uuid7()
    stored = objects.put(
        organization_id, object_key(organization_id, "batches", part_id), ChunkStream(iter(lines))
    )
    return BatchPart(id=part_id, batch_id=batch_id, kind=kind, object_key=stored.key, lines=len(lines))


def discard(organization_id: UUID, unsaved: Sequence[BatchPart]) -> None:
    """Remove the objects of parts whose rows were never saved. Raises `StorageUnavailable`."""
    for part in unsaved:
        objects.delete(organization_id, part.object_key)


def read(organization_id: UUID, batch_id: UUID, kind: PartKind) -> Iterator[bytes]:
    """The bytes of all parts of a kind, in the order in which they were stored."""
    with acting_for(organization_id):
        rows = BatchPart.objects.filter(batch_id=batch_id, kind=kind).order_by("pk")
        keys = list(rows.values_list("object_key", flat=True))
    for key in keys:
        yield from objects.get(organization_id, key)


def remove(organization_id: UUID, batch_id: UUID) -> None:
    """Remove all parts of a batch, objects before rows; safe to repeat. Raises `StorageUnavailable`."""
    with acting_for(organization_id):
        found = list(BatchPart.objects.filter(batch_id=batch_id))
    discard(organization_id, found)
    with acting_for(organization_id):
        BatchPart.objects.filter(pk__in=[part.pk for part in found]).delete()
