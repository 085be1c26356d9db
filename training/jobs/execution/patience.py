"""Waiting for a store that does not answer, while the job's lease is held."""

import time
from collections.abc import Callable
from typing import TypeVar

import structlog
from django.db import InterfaceError, OperationalError, connection
from psycopg_pool import PoolTimeout

from kernel.errors import Unavailable
from training.jobs.execution.setbacks import Setback
from training.jobs.execution.watch import Watch

AWAY = (OperationalError, InterfaceError, PoolTimeout, Unavailable)
RETRY_SECONDS = 2.0
PATIENCE_SECONDS = 300.0

T = TypeVar("T")
log = structlog.get_logger()


def patiently(act: Callable[[], T], watch: Watch) -> T:
    """Do it, again and again while a store is away. Raises `Setback` after five minutes, and `LeaseLost`."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return act()
        except AWAY as fault:
            log.warning("run.store_away", fault=type(fault).__name__)
            if time.monotonic() > deadline:
                raise Setback("service_unavailable", "A store did not answer for five minutes.") from fault
        finally:
            # A connection that broke stays broken; the pool gives a checked one next time.
            connection.close()
        watch.require_held()
        time.sleep(RETRY_SECONDS)
