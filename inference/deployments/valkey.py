"""The connection to Valkey through which the serving snapshot is published."""

from functools import lru_cache

import redis
from django.conf import settings

TIMEOUT_SECONDS = 5.0


@lru_cache(maxsize=1)
def valkey() -> redis.Redis:
    """This process's client; it connects on first use and keeps a pool."""
    return redis.Redis.from_url(
        settings.VALKEY_URL,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        health_check_interval=30,
    )
