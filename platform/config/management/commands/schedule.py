"""`manage.py schedule`: the clock, the outbox's dispatcher and the audit log's sealer, in one process; one is
active at a time.
"""

import signal
import threading
from types import FrameType
from typing import Any

import psycopg
import redis
import structlog
from celery.beat import EmbeddedService
from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connection
from kombu.exceptions import OperationalError

from config.celery import app
from kernel.audit import sealing
from kernel.crypto import signing
from kernel.events import dispatcher
from kernel.telemetry.presence import BEAT, say_present

# Any number that nothing else in the database locks.
LEASE = 7_203_114
PRESENCE_SECONDS = 3.0
RETRY_SECONDS = 2.0
# What is done so often is also done at once by whoever takes the lead: nobody should wait for the first turn.
FREQUENT_SECONDS = 60.0

log = structlog.get_logger()


class Command(BaseCommand):
    """Runs until it is told to stop."""

    help = "Run the schedule, the outbox and the audit log's sealer. A second one waits for the first to go."

    def handle(self, *args: Any, **options: Any) -> None:
        # Subscribers live in the rooms' tasks, which Celery reads late.
        app.loader.import_default_modules()
        # A key file that must not be used stops the start, not the first checkpoint.
        signing.signing_keys()
        stopping = threading.Event()

        def stop(number: int, frame: FrameType | None) -> None:
            stopping.set()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        while not stopping.is_set():
            try:
                _lead(stopping)
            except psycopg.OperationalError:
                log.warning("schedule.database_away", retry_in_seconds=RETRY_SECONDS)
                stopping.wait(RETRY_SECONDS)


def _lead(stopping: threading.Event) -> None:
    """Work while the lease is held; the lease is a lock of one connection, so a dead process loses it."""
    with psycopg.connect(**dispatcher.connection_parameters(), autocommit=True) as lease:
        while lease.execute("SELECT pg_try_advisory_lock(%s)", [LEASE]).fetchone() != (True,):
            if stopping.wait(RETRY_SECONDS):
                return
        log.info("schedule.leading")
        clock: Any = EmbeddedService(app, thread=True, scheduler_cls="celery.beat:Scheduler")
        _do_what_is_frequent()
        clock.start()
        ended = threading.Event()
        workers = [
            threading.Thread(target=work, args=[ended], name=name)
            for name, work in (("dispatcher", dispatcher.run), ("sealer", sealing.run))
        ]
        for worker in workers:
            worker.start()
        try:
            _stay(lease, workers, stopping)
        finally:
            ended.set()
            clock.stop()
            for worker in workers:
                worker.join(timeout=10)
            connection.close()


def _do_what_is_frequent() -> None:
    """Send each task that is done every minute or more often. The broker may be away: the clock goes on."""
    for entry in app.conf.beat_schedule.values():
        every = entry["schedule"]
        if isinstance(every, int | float) and every <= FREQUENT_SECONDS:
            try:
                app.send_task(entry["task"], retry=False, **entry.get("options", {}))
            except OperationalError:
                log.warning("schedule.broker_away")
                return


def _stay(lease: psycopg.Connection[Any], workers: list[threading.Thread], stopping: threading.Event) -> None:
    client = redis.Redis.from_url(settings.VALKEY_URL, socket_timeout=2, socket_connect_timeout=2)
    while all(worker.is_alive() for worker in workers) and not stopping.wait(PRESENCE_SECONDS):
        lease.execute("SELECT 1")
        try:
            say_present(client, BEAT)
        except redis.RedisError:
            log.warning("schedule.valkey_away")
