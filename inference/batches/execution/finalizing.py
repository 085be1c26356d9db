"""The end of a batch: its parts become files, in constant memory, and its state what was concluded."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from inference.batches import states
from inference.batches.errors import LeaseLost
from inference.batches.execution import parts
from inference.batches.execution.leases import Lease
from inference.batches.execution.progress import unanswered_line
from inference.batches.lines import lines_of, read_request
from inference.batches.models import Batch, BatchState, PartKind
from kernel.storage import objects
from kernel.storage.chunks import ChunkStream
from kernel.storage.errors import ObjectMissing
from kernel.tenancy.scope import acting_for
from tenants.datasets import made
from tenants.datasets.models import Purpose

UNANSWERED = {
    BatchState.CANCELLED: {
        "code": "batch_cancelled",
        "message": "The batch was cancelled before this request was answered.",
    },
    BatchState.EXPIRED: {
        "code": "batch_expired",
        "message": "This request could not be executed before the completion window expired.",
    },
    BatchState.FAILED: {
        "code": "batch_failed",
        "message": "The batch failed before this request was answered; its errors say why.",
    },
}


def finalize(lease: Lease) -> None:
    """Write the files of a batch that was concluded, and end it; done again from the start after a crash.

    Raises `LeaseLost`, `StorageUnavailable`.
    """
    batch = lease.read()
    files = {"output": _stored(lease, _output(batch)), "error": _stored(lease, _errors(batch))}
    try:
        with acting_for(lease.organization_id):
            locked = lease.lock()
            states.end(
                locked,
                **{
                    f"{kind}_file": _registered(batch, kind, stored)
                    for kind, stored in files.items()
                    if stored
                },
            )
    except LeaseLost:
        for stored in files.values():
            if stored is not None:
                objects.delete(lease.organization_id, stored.content.key)
        raise
    parts.remove(lease.organization_id, lease.batch_id)


def _output(batch: Batch) -> Iterator[bytes]:
    return parts.read(batch.organization_id, batch.pk, PartKind.OUTPUT)


def _errors(batch: Batch) -> Iterator[bytes]:
    return chain(parts.read(batch.organization_id, batch.pk, PartKind.ERROR), _unanswered(batch))


def _unanswered(batch: Batch) -> Iterator[bytes]:
    """A line for each request that was not answered, as far as the input can still be read."""
    if batch.in_progress_at is None or batch.completed + batch.failed == batch.total:
        return
    error, done = UNANSWERED[BatchState(batch.ending)], set(batch.ahead)
    try:
        stored = objects.open_object(batch.organization_id, batch.input_file.object_key)
    except ObjectMissing:
        return
    with stored:
        for line in lines_of(stored, line=batch.line, offset=batch.offset):
            if line.number not in done:
                yield unanswered_line(batch, read_request(line, batch.endpoint), error)


def _stored(lease: Lease, chunks: Iterator[bytes]) -> made.Stored | None:
    """The bytes of a file to be; None where there are none."""
    held = _holding(lease, chunks)
    first = next(held, None)
    return made.store(lease.organization_id, ChunkStream(chain([first], held))) if first is not None else None


def _holding(lease: Lease, chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        lease.hold()
        yield chunk


def _registered(batch: Batch, kind: str, stored: made.Stored) -> Any:
    making = made.Making(
        filename=f"{batch.public_id}_{kind}.jsonl",
        purpose=Purpose.BATCH_OUTPUT,
        created_by_id=batch.created_by_id,
        expires_after_seconds=batch.output_expires_after_seconds,
    )
    return made.register(stored, making, source=batch.input_file)
