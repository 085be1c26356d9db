"""The trainer as a process: it says that it is present, wipes what killed runs left, and stops in order."""

import threading
from typing import Any

import redis
import structlog
from celery.signals import worker_ready, worker_shutting_down
from django.conf import settings

from kernel.telemetry.presence import TRAINER, say_present
from training.jobs.execution import following, scratch

QUEUE = "training"
PRESENCE_SECONDS = 10.0

log = structlog.get_logger()


def attend() -> None:
    """Listen to Celery's signals of this process."""
    worker_ready.connect(_begin, weak=False, dispatch_uid="training.begin")
    worker_shutting_down.connect(_stop, weak=False, dispatch_uid="training.stop")


def _begin(sender: Any, **_: Any) -> None:
    if QUEUE not in sender.app.amqp.queues.consume_from:
        return
    scratch.wipe_stale()
    threading.Thread(target=_say_present_for_ever, name="presence", daemon=True).start()


def _stop(**_: Any) -> None:
    # Sent from the signal handler, between two steps of a running job: only note it here.
    following.stopping.set()


def _say_present_for_ever() -> None:
    client = redis.Redis.from_url(settings.VALKEY_URL, socket_timeout=2, socket_connect_timeout=2)
    while not following.stopping.wait(PRESENCE_SECONDS if _said(client) else 1.0):
        pass


def _said(client: redis.Redis) -> bool:
    try:
        say_present(client, TRAINER)
    except redis.RedisError:
        log.warning("trainer.valkey_away")
        return False
    return True
