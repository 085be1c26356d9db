"""Signs of life of processes that answer no requests: each says in Valkey when it last was at work."""

import time

import redis

BEAT = "beat"
TRAINER = "trainer"
_KEY = "lw:presence:{}"
_KEEP_SECONDS = 600


def say_present(client: redis.Redis, process: str) -> None:
    """Note that the process is at work now."""
    client.set(_KEY.format(process), str(time.time()), ex=_KEEP_SECONDS)


def seconds_since_seen(client: redis.Redis, process: str) -> float:
    """How long ago it was last at work; infinite when it never was."""
    seen = client.get(_KEY.format(process))
    return time.time() - float(seen) if isinstance(seen, bytes | str) else float("inf")
