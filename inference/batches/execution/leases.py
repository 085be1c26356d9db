"""Leases: who works on a batch, until when, under which number. The only crossing of tenants in this app."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now

from inference.batches import authority, states
from inference.batches.errors import LeaseLost
from inference.batches.lines import Fault
from inference.batches.models import AT_WORK, ENDED, Batch, BatchPart, BatchState
from inference.batches.states import Ends
from inference.gateway.contract import Principal
from kernel.tenancy.scope import across_tenants, acting_for

LEASE = timedelta(seconds=30)
BEAT_SECONDS = 1.0
CLAIM_LOCK = 7_203_119
SWEEP = 100


@dataclass
class Lease:
    """The right to work on a batch. Every write names its number and is refused once a newer one is given."""

    batch_id: UUID
    organization_id: UUID
    fence: int
    clock: Callable[[], float] = time.monotonic
    # As whom the requests are made, as of the last beat.
    caller: Principal | None = None
    _beaten: float = field(default=float("-inf"), repr=False)

    def read(self) -> Batch:
        """The batch as it is now. Raises `LeaseLost`."""
        with acting_for(self.organization_id):
            batch = states.held(self.batch_id, self.fence).select_related("input_file").first()
        if batch is None:
            raise LeaseLost
        return batch

    def lock(self) -> Batch:
        """The batch, locked, in the caller's scope. Raises `LeaseLost`."""
        return states.lock(self.batch_id, self.fence)

    def change(self, **values: Any) -> None:
        """Change the row. Raises `LeaseLost`."""
        with acting_for(self.organization_id):
            if not states.held(self.batch_id, self.fence).update(**values):
                raise LeaseLost

    def hold(self) -> None:
        """Go on holding the batch, once a second, whatever becomes of it. Raises `LeaseLost`."""
        if self._is_due():
            self.change(lease_until=Now() + LEASE)

    def beat(self) -> None:
        """Go on holding the batch, once a second. Raises `LeaseLost`, and `Ends` once it is to end."""
        if self._is_due():
            self.change(lease_until=Now() + LEASE)
            self.caller = self.principal()

    def principal(self) -> Principal:
        """As whom its requests are made now. Raises `LeaseLost`, and `Ends` where none is to be made."""
        with acting_for(self.organization_id):
            batch: Batch | None = (
                states.held(self.batch_id, self.fence)
                .select_related("input_file")
                .annotate(is_over=Q(expires_at__lte=Now()))
                .first()
            )
            if batch is None:
                raise LeaseLost
            if batch.state == BatchState.CANCELLING:
                raise Ends(BatchState.CANCELLED)
            if batch.is_over:  # type: ignore[attr-defined]
                raise Ends(BatchState.EXPIRED)
            if batch.input_file.deleted_at is not None:
                raise Ends(BatchState.FAILED, input_gone())
            try:
                return authority.principal_of(batch)
            except authority.NoAuthority as refused:
                raise Ends(BatchState.FAILED, refused.fault) from None

    def release(self, *, rest_seconds: float = 0.0, **values: Any) -> None:
        """Let go of the batch, which is taken up again after a rest. Raises `LeaseLost`."""
        rest = Now() + timedelta(seconds=rest_seconds) if rest_seconds else None
        self.change(lease_until=None, not_before=rest, **values)

    def _is_due(self) -> bool:
        if self.clock() - self._beaten < BEAT_SECONDS:
            return False
        self._beaten = self.clock()
        return True


def input_gone() -> Fault:
    """That there is nothing to read any more."""
    return Fault("file_not_found", "The input file was deleted before the batch was done.", "input_file_id")


def claim() -> Lease | None:
    """Take up the batch whose last turn is longest ago, at most one of each organization; None if none waits.

    Several workers may ask at once: each batch goes to one of them.
    """
    with across_tenants():
        with connection.cursor() as cursor:
            # One claim at a time: two would not see each other's organization.
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [CLAIM_LOCK])
        batch: Batch | None = (
            Batch.objects.select_for_update(skip_locked=True)
            .filter(_is_free() & _is_due(), state__in=AT_WORK)
            .exclude(organization_id__in=_busy_organizations())
            .order_by("turn_at", "pk")
            .first()
        )
        if batch is None:
            return None
        lease = Lease(batch.pk, batch.organization_id, batch.fence + 1)
        with acting_for(batch.organization_id):
            Batch.objects.filter(pk=batch.pk).update(
                fence=lease.fence, lease_until=Now() + LEASE, turn_at=Now(), not_before=None
            )
    return lease


def with_parts_left() -> list[tuple[UUID, UUID]]:
    """Batches that have ended and still have parts: ids of their organizations and their own."""
    with across_tenants():
        left = BatchPart.objects.filter(batch__state__in=list(ENDED)).order_by("batch_id")
        return list(left.values_list("organization_id", "batch_id").distinct()[:SWEEP])


def _is_free() -> Q:
    return Q(lease_until=None) | Q(lease_until__lt=Now())


def _is_due() -> Q:
    rested = Q(not_before=None) | Q(not_before__lte=Now())
    return rested | Q(state=BatchState.CANCELLING) | Q(expires_at__lte=Now())


def _busy_organizations() -> Any:
    busy = Batch.objects.filter(state__in=AT_WORK, lease_until__gte=Now())
    return busy.values("organization_id")
