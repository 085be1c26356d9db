"""Who does a piece of work, until when, and under which number; what becomes of it when that fails.

The only crossing of tenants in this room.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db.models import F, Q
from django.db.models.functions import Now

from kernel.errors import DomainError
from kernel.events.outbox import Happening, emit
from kernel.ids import render
from kernel.tenancy.scope import across_tenants, acting_for
from tenants.compliance.models import ErasureRequest, Export, Work
from tenants.organizations.models import Organization, OrganizationState

LEASE = timedelta(seconds=60)
PAUSE = timedelta(seconds=30)
# Work that nobody took up since: its message was lost, or waits behind others.
FORGOTTEN = timedelta(seconds=60)
BEAT_SECONDS = 1.0
MAX_ATTEMPTS = 8
SWEEP = 100
KINDS: dict[type[Work], str] = {Export: "export", ErasureRequest: "erasure"}

log = structlog.get_logger()


class Lost(Exception):
    """The work is not ours any more."""


class Cancelled(Exception):
    """Somebody does not want it any more."""


@dataclass
class Grip:
    """The right to do a piece of work."""

    model: type[Work]
    organization_id: UUID
    id: UUID
    fence: int
    done: int = 0
    clock: Callable[[], float] = time.monotonic
    _beaten: float = field(default=0.0, repr=False)

    def beat(self) -> None:
        """Say that the work goes on and how far it is, once a second. Raises `Lost`, `Cancelled`."""
        if self.clock() - self._beaten >= BEAT_SECONDS:
            self._beaten = self.clock()
            self.change(done=self.done, lease_until=Now() + LEASE)
            with acting_for(self.organization_id):
                if self._rows().exclude(cancel_requested_at=None).exists():
                    raise Cancelled

    def advance(self, count: int) -> None:
        """So much more is done. Raises what `beat` raises."""
        self.done += count
        self.beat()

    def change(self, **values: Any) -> None:
        """Change the row. Raises `Lost`."""
        with acting_for(self.organization_id):
            if not self._rows().update(**values):
                raise Lost

    def settle(self, **values: Any) -> None:
        """Change the row, in the caller's scope, and let go of the work. Raises `Lost`."""
        if not self._rows().update(lease_until=None, done=self.done, **values):
            raise Lost

    def _rows(self) -> Any:
        return self.model.objects.filter(pk=self.id, fence=self.fence, state__in=self.model.AT_WORK)


def announce(work: Work) -> None:
    """Wake a worker, and let the consoles that look on read it again; in the caller's scope."""
    kind = KINDS[type(work)]
    emit(
        Happening(
            work.EVENT, aggregate_id=work.pk, resource=f"compliance.{kind}", resource_id=render(kind, work.pk)
        )
    )


def take(model: type[Work], organization_id: UUID, work_id: UUID) -> Grip | None:
    """Take up a piece of work that nobody does; None where there is nothing to do."""
    with acting_for(organization_id):
        work = model.objects.select_for_update().filter(_FREE, pk=work_id, state__in=model.AT_WORK).first()
        if work is None:
            return None
        fence = work.fence + 1
        model.objects.filter(pk=work_id).update(
            fence=fence, attempts=F("attempts") + 1, lease_until=Now() + LEASE
        )
    return Grip(model, organization_id, work_id, fence)


@contextmanager
def guarded(grip: Grip) -> Iterator[None]:
    """Whatever goes wrong inside, the row says so, and somebody tries again later or nobody any more."""
    try:
        yield
    except Lost:
        log.warning("compliance.lost", work=str(grip.id))
    except Cancelled:
        with acting_for(grip.organization_id):
            grip.settle(state="cancelled", finished_at=Now())
    except Exception as fault:
        log.exception("compliance.interrupted", work=str(grip.id))
        _set_back(grip, fault)


def _set_back(grip: Grip, fault: Exception) -> None:
    told = fault.message if isinstance(fault, DomainError) else "Something went wrong on our side."
    with acting_for(grip.organization_id):
        work = grip._rows().first()
        if work is None:
            return
        ended = {"state": "failed", "finished_at": Now()} if work.attempts >= MAX_ATTEMPTS else {}
        grip._rows().update(fault=told[:500], lease_until=Now() + PAUSE * work.attempts, **ended)


_FREE = Q(lease_until=None) | Q(lease_until__lt=Now())


def revive() -> int:
    """Announce again what nobody does; answers how many."""
    found = [place for model in KINDS for place in _forgotten(model)]
    for model, organization_id, work_id in found:
        with acting_for(organization_id):
            if (work := model.objects.filter(pk=work_id, state__in=model.AT_WORK).first()) is not None:
                announce(work)
    return len(found)


def _forgotten(model: type[Work]) -> list[tuple[type[Work], UUID, UUID]]:
    never = Q(lease_until=None, created_at__lt=Now() - FORGOTTEN)
    lapsed = Q(lease_until__lt=Now())
    with across_tenants():
        rows = model.objects.filter(never | lapsed, state__in=model.AT_WORK).order_by("pk")
        return [(model, *place) for place in rows.values_list("organization_id", "pk")[:SWEEP]]


def living_organizations() -> list[UUID]:
    """Every organization of which something is left."""
    with across_tenants():
        rows = Organization.objects.exclude(state=OrganizationState.CLOSED).order_by("pk")
        return list(rows.values_list("pk", flat=True))
