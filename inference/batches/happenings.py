"""What is told of batches, through the outbox."""

from inference.batches.models import Batch, BatchState
from kernel.events.outbox import Happening, emit

CREATED = "inference.batch.created.v1"
CANCEL_REQUESTED = "inference.batch.cancel_requested.v1"
ENDINGS: dict[str, str] = {
    BatchState.COMPLETED: "inference.batch.completed.v1",
    BatchState.FAILED: "inference.batch.failed.v1",
    BatchState.EXPIRED: "inference.batch.expired.v1",
    BatchState.CANCELLED: "inference.batch.cancelled.v1",
}


def tell(name: str, batch: Batch) -> None:
    """Say what happened to a batch, in the transaction in which it happens."""
    emit(
        Happening(
            name=name,
            aggregate_id=batch.pk,
            project_id=batch.project_id,
            resource="batch",
            resource_id=batch.public_id,
            payload={"batch_id": str(batch.pk), "state": batch.state},
        )
    )
