"""Every way from one state of a batch to another: the one place that changes `state`."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import F, QuerySet
from django.db.models.functions import Now

from inference.batches.errors import LeaseLost
from inference.batches.happenings import CANCEL_REQUESTED, ENDINGS, tell
from inference.batches.lines import Fault
from inference.batches.models import AT_WORK, Batch, BatchState
from kernel.audit.log import record

Batches = QuerySet[Batch]


class Ends(Exception):
    """The batch goes no further: `to` is the state in which it ends, `faults` say why."""

    def __init__(self, to: BatchState, *faults: Fault) -> None:
        super().__init__(to.value)
        self.to, self.faults = to, faults


def held(batch_id: UUID, fence: int) -> Batches:
    """The batch's row as long as it is under way and nobody took it up under a newer number."""
    rows: Batches = Batch.objects.filter(pk=batch_id, fence=fence, state__in=AT_WORK)
    return rows


def lock(batch_id: UUID, fence: int) -> Batch:
    """The row, locked until the transaction ends. Raises `LeaseLost`."""
    batch: Batch | None = held(batch_id, fence).select_for_update(of=("self",)).first()
    if batch is None:
        raise LeaseLost
    return batch


def begin(batch: Batch, *, total: int, model: str) -> None:
    """Its requests are good (locked by the caller); one that is being cancelled stays so."""
    _change(batch, total=total, model=model, in_progress_at=Now())
    if batch.state == BatchState.VALIDATING:
        _change(batch, state=BatchState.IN_PROGRESS)


def ask_to_cancel(batch: Batch) -> None:
    """Somebody does not want it any more (locked by the caller)."""
    _change(batch, state=BatchState.CANCELLING, cancelling_at=Now(), not_before=None)
    tell(CANCEL_REQUESTED, batch)


def conclude(batch: Batch, to: BatchState, faults: Sequence[Fault] = ()) -> None:
    """No further request is made (locked by the caller); what remains is to write its files.

    Whoever cancelled it a moment before is told that it is cancelled.
    """
    if batch.state == BatchState.CANCELLING:
        _change(batch, ending=BatchState.CANCELLED)
        return
    _change(
        batch,
        state=BatchState.FINALIZING,
        ending=to,
        finalizing_at=Now(),
        errors=[fault.as_json() for fault in faults],
    )


def give_up(batch: Batch, fault: Fault) -> None:
    """End it at once and without files (locked by the caller): whoever works on it loses it."""
    _change(
        batch,
        state=BatchState.FINALIZING,
        ending=BatchState.FAILED,
        errors=[fault.as_json()],
        total=0,
        completed=0,
    )
    end(batch)


def end(batch: Batch, **files: Any) -> None:
    """Its files are there (locked by the caller): it ends as it was concluded."""
    # What was never answered failed, so that every request is counted.
    _change(
        batch,
        state=batch.ending,
        finished_at=Now(),
        failed=F("total") - F("completed"),
        lease_until=None,
        ahead=[],
        tries={},
        **files,
    )
    record("batch.end", batch.public_id, state=batch.state, completed=batch.completed, failed=batch.failed)
    tell(ENDINGS[batch.state], batch)


def _change(batch: Batch, **values: Any) -> None:
    Batch.objects.filter(pk=batch.pk).update(**values)
    batch.refresh_from_db()
