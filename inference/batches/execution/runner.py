"""Works on batches, one after another and each for a turn: what a worker's thread does when it is woken."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

import structlog
from django.db import InterfaceError, OperationalError, connection
from psycopg_pool import PoolTimeout
from redis.exceptions import RedisError

from inference.batches import states
from inference.batches.asking import Asked, GatewayThread
from inference.batches.errors import LeaseLost
from inference.batches.execution import finalizing, leases, parts
from inference.batches.execution.leases import Lease
from inference.batches.execution.turns import Turn, stopping
from inference.batches.lines import Fault
from inference.batches.models import Batch, BatchState
from inference.batches.states import Ends
from inference.batches.validation import look_through
from inference.deployments.gateways import gateway_config
from inference.gateway.application import Gateway
from inference.responses.keeping import DatabaseKeeper
from kernel.audit.log import record
from kernel.errors import Unavailable
from kernel.storage import objects
from kernel.storage.errors import ObjectMissing
from kernel.tenancy.scope import acting_for

AWAY = (OperationalError, InterfaceError, PoolTimeout, RedisError, Unavailable)
AWAY_SECONDS = 10.0
SETBACK_SECONDS = 15.0
# What finds no room for longer is put off, and another batch may have its turn.
ROOM_SECONDS = 2.0
MAX_SETBACKS = 5

OpenGateway = Callable[[], AbstractContextManager[Asked]]

log = structlog.get_logger()

_working = threading.Lock()


def open_gateway() -> AbstractContextManager[Asked]:
    """A gateway of this process, configured by the settings."""
    settings = replace(gateway_config(), room_seconds=ROOM_SECONDS)
    return GatewayThread(Gateway(settings, keeper=DatabaseKeeper()))


def run_waiting(opened: OpenGateway = open_gateway) -> int:
    """Give every batch that waits its turn, until none does or the process is told to stop; how many turns.

    A process gives one thread to batches and no more: asked while it works already, it answers 0 at once.
    """
    if not _working.acquire(blocking=False):
        return 0
    try:
        lease = leases.claim()
        return _take_turns(lease, opened) if lease is not None else 0
    finally:
        _working.release()
        connection.close()


def remove_left_parts() -> int:
    """Remove the parts of batches whose worker died between ending and tidying; answers of how many."""
    left = leases.with_parts_left()
    for organization_id, batch_id in left:
        parts.remove(organization_id, batch_id)
    return len(left)


def _take_turns(first: Lease, opened: OpenGateway) -> int:
    turns, lease = 0, first
    with opened() as gateway:
        while True:
            turns += 1
            with structlog.contextvars.bound_contextvars(batch_id=str(lease.batch_id), fence=lease.fence):
                take_turn(lease, gateway)
            following = None if stopping.is_set() else leases.claim()
            if following is None:
                return turns
            lease = following


def take_turn(lease: Lease, gateway: Asked) -> None:
    """Bring a batch further; whatever goes wrong, somebody tries again later, or it fails with a reason."""
    try:
        _go_on(lease, gateway)
    except LeaseLost:
        log.warning("batch.lost")
    except AWAY as fault:
        log.warning("batch.store_away", fault=type(fault).__name__)
        connection.close()
        _let_go(lease, AWAY_SECONDS)
    except Exception:
        log.exception("batch.interrupted")
        _set_back(lease)


def _go_on(lease: Lease, gateway: Asked) -> None:
    batch = lease.read()
    if not batch.ending:
        try:
            rest = _work(lease, batch, gateway)
        except Ends as ends:
            _conclude(lease, ends)
        except ObjectMissing:
            _conclude(lease, Ends(BatchState.FAILED, leases.input_gone()))
        else:
            if rest is not None:
                lease.release(rest_seconds=rest)
                return
            _conclude(lease, Ends(BatchState.COMPLETED))
    finalizing.finalize(lease)
    log.info("batch.ended")


def _work(lease: Lease, batch: Batch, gateway: Asked) -> float | None:
    if batch.in_progress_at is None:
        _validate(lease, batch)
        batch = lease.read()
    return Turn(lease, batch, gateway).take()


def _validate(lease: Lease, batch: Batch) -> None:
    lease.beat()
    with objects.open_object(batch.organization_id, batch.input_file.object_key) as stored:
        verdict = look_through(stored, batch.endpoint, lease.beat)
    if verdict.found_faults:
        raise Ends(BatchState.FAILED, *verdict.told)
    with acting_for(lease.organization_id):
        locked = lease.lock()
        record("file.read", locked.input_file.public_id, what="batch", batch=locked.public_id)
        states.begin(locked, total=verdict.total, model=verdict.model)


def _conclude(lease: Lease, ends: Ends) -> None:
    with acting_for(lease.organization_id):
        states.conclude(lease.lock(), ends.to, ends.faults)


def _let_go(lease: Lease, rest_seconds: float) -> None:
    try:
        lease.release(rest_seconds=rest_seconds)
    except (LeaseLost, *AWAY):
        log.warning("batch.left_to_its_lease")


def _set_back(lease: Lease) -> None:
    try:
        batch = lease.read()
        if batch.setbacks + 1 >= MAX_SETBACKS and not batch.ending:
            _conclude(lease, Ends(BatchState.FAILED, _own_fault()))
        lease.release(rest_seconds=SETBACK_SECONDS * (batch.setbacks + 1), setbacks=batch.setbacks + 1)
    except (LeaseLost, *AWAY):
        log.warning("batch.left_to_its_lease")


def _own_fault() -> Fault:
    return Fault(
        "internal_error",
        "The batch was given up after it went wrong several times on our side; make it again.",
    )
