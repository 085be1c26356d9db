"""Probes: does the process live, can it serve, does the whole stack serve."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import redis
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, JsonResponse

from config.celery import app as celery_app
from kernel.storage import objects
from kernel.telemetry.presence import BEAT, seconds_since_seen

TIMEOUT_SECONDS = 2.0
BEAT_TOLERANCE_SECONDS = 15.0


def livez(request: HttpRequest) -> JsonResponse:
    """This process answers."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """This process can serve its own traffic."""
    return _answer({"database": _database, "valkey": _valkey})


def healthz(request: HttpRequest) -> JsonResponse:
    """The whole stack serves: 200 only when every part does, each part's state in JSON."""
    return _answer(
        {
            "database": _database,
            "valkey": _valkey,
            "storage": _storage,
            "pod": _pod,
            "workers": _workers,
            "beat": _beat,
        }
    )


def _answer(checks: dict[str, Callable[[], None]]) -> JsonResponse:
    parts = {name: _state(check) for name, check in checks.items()}
    healthy = all(part["status"] == "ok" for part in parts.values())
    return JsonResponse(
        {"status": "ok" if healthy else "unavailable", "parts": parts}, status=200 if healthy else 503
    )


def _state(check: Callable[[], None]) -> dict[str, Any]:
    started = time.perf_counter()
    try:
        check()
    except Exception as fault:
        return {"status": "unavailable", "reason": type(fault).__name__}
    return {"status": "ok", "milliseconds": round((time.perf_counter() - started) * 1000, 1)}


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _valkey() -> None:
    with _valkey_client() as client:
        client.ping()


def _storage() -> None:
    objects.probe()


def _pod() -> None:
    httpx.get(f"{settings.POD_URL}/health", timeout=TIMEOUT_SECONDS).raise_for_status()


def _workers() -> None:
    # A trainer in the middle of a job does not answer pings: its presence is in Valkey instead.
    answers = celery_app.control.ping(timeout=TIMEOUT_SECONDS, limit=1)
    if not answers:
        raise TimeoutError


def _beat() -> None:
    with _valkey_client() as client:
        if seconds_since_seen(client, BEAT) > BEAT_TOLERANCE_SECONDS:
            raise TimeoutError


def _valkey_client() -> redis.Redis:
    return redis.Redis.from_url(settings.VALKEY_URL, socket_timeout=TIMEOUT_SECONDS)
