"""When keys were last used: noted as requests pass, written to the table later and at most once a minute."""

import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import cast
from uuid import UUID

import redis
import structlog
from django.conf import settings

from kernel.tenancy.scope import acting_for
from tenants.access.models import ApiKey

# A hash in Valkey: organization and key to Unix seconds, and the one that is being written.
NOTED, BEING_WRITTEN = "lw:keys:used", "lw:keys:used:writing"
RESOLUTION_SECONDS = 60
VALKEY_TIMEOUT_SECONDS = 0.5
MAX_REMEMBERED = 100_000

log = structlog.get_logger()

# What this process has noted lately, so that a busy key costs one note a minute and no more.
_remembered: dict[UUID, float] = {}


def note_use(key: ApiKey) -> None:
    """Note that a key was used now. Never writes to the database, and never fails."""
    now = time.time()
    known = max(key.last_used_at.timestamp() if key.last_used_at else 0.0, _remembered.get(key.pk, 0.0))
    if now - known < RESOLUTION_SECONDS:
        return
    if len(_remembered) >= MAX_REMEMBERED:
        _remembered.clear()
    _remembered[key.pk] = now
    try:
        _valkey().hset(NOTED, f"{key.organization_id.hex}:{key.pk.hex}", str(int(now)))
    except redis.RedisError as fault:
        log.warning("key_use_not_noted", error=type(fault).__name__)


def write_noted() -> int:
    """Write what was noted to the table; answers how many keys that were. Raises `redis.RedisError`."""
    valkey = _valkey()
    # What a process that died was writing comes first; writing it again changes nothing.
    if not valkey.exists(BEING_WRITTEN):
        if not valkey.exists(NOTED):
            return 0
        valkey.rename(NOTED, BEING_WRITTEN)
    found: dict[UUID, dict[UUID, datetime]] = defaultdict(dict)
    for name, seconds in cast(dict[bytes, bytes], valkey.hgetall(BEING_WRITTEN)).items():
        organization, _, key = name.decode().partition(":")
        found[UUID(organization)][UUID(key)] = datetime.fromtimestamp(int(seconds), UTC)
    written = 0
    for organization_id, moments in found.items():
        with acting_for(organization_id):
            written += write_uses(moments)
    valkey.delete(BEING_WRITTEN)
    return written


def write_uses(moments: Mapping[UUID, datetime]) -> int:
    """Write when keys of the current organization were used, where the table is a minute behind or more."""
    resolution = timedelta(seconds=RESOLUTION_SECONDS)
    behind = []
    for key in ApiKey.objects.filter(pk__in=list(moments)).only("pk", "organization_id", "last_used_at"):
        moment = moments[key.pk]
        if key.last_used_at is None or moment - key.last_used_at >= resolution:
            key.last_used_at = moment
            behind.append(key)
    ApiKey.objects.bulk_update(behind, ["last_used_at"])
    return len(behind)


@lru_cache(maxsize=1)
def _valkey() -> redis.Redis:
    return redis.Redis.from_url(
        settings.VALKEY_URL,
        protocol=2,
        socket_timeout=VALKEY_TIMEOUT_SECONDS,
        socket_connect_timeout=VALKEY_TIMEOUT_SECONDS,
        health_check_interval=30,
    )
