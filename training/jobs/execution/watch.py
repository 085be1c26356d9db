"""The thread that holds a job's lease while another one works, and notices when the job is taken away."""

import threading
import time
from types import TracebackType
from typing import Protocol

import structlog
from django.db import DatabaseError, connection
from psycopg_pool import PoolTimeout

from training.jobs.errors import LeaseLost
from training.jobs.execution import leases
from training.jobs.execution.leases import Lease

LOOK_SECONDS = 1.0

log = structlog.get_logger()


class Stoppable(Protocol):
    """What is to be stopped when the job is not ours any more."""

    def terminate(self) -> None:
        """Ask it to end."""
        ...


class Watch:
    """Looks every second whether the job is still ours and renews the lease every ten.

    A database that does not answer is no reason to stop: nobody else can take the job then, and the number
    of the lease guards every write afterwards.
    """

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._gone = threading.Event()
        self._over = threading.Event()
        self._guarded: Stoppable | None = None
        self._thread = threading.Thread(target=self._look_on, name="lease", daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def guard(self, process: Stoppable) -> None:
        """Stop this process as soon as the job is gone, even while its runner is busy."""
        self._guarded = process
        if self._gone.is_set():
            process.terminate()

    def require_held(self) -> None:
        """Raise `LeaseLost` once the job was found to be another's, cancelled or ended."""
        if self._gone.is_set():
            raise LeaseLost

    def _look_on(self) -> None:
        renewal_due = time.monotonic() + leases.HEARTBEAT_SECONDS
        while not self._over.wait(LOOK_SECONDS):
            due = time.monotonic() >= renewal_due
            try:
                held = leases.renew(self._lease) if due else leases.is_held(self._lease)
            except (DatabaseError, PoolTimeout):
                log.warning("lease.database_away")
                continue
            finally:
                connection.close()
            if due:
                renewal_due = time.monotonic() + leases.HEARTBEAT_SECONDS
            if not held:
                self._lose()
                return

    def _lose(self) -> None:
        log.info("lease.gone")
        self._gone.set()
        if self._guarded is not None:
            self._guarded.terminate()
