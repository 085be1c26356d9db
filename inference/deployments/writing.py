"""Writing entries of the serving snapshot to Valkey, one writer at a time."""

from typing import cast

from django.db import connection

from inference.deployments.valkey import valkey

CHANGED = "lw:snapshot:changed"
LOCK = 7_203_116

Entries = dict[str, bytes | None]
"""Names with their values; None removes."""


def hold() -> None:
    """Be the only one who writes until the transaction ends: what is read after this is the truth."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])


def write(entries: Entries) -> int:
    """Write what differs and say so to the gateways; answers how many entries that were.

    Raises `redis.RedisError`.
    """
    if not entries:
        return 0
    names = list(entries)
    present = cast(list[bytes | None], valkey().mget(names))
    differing = [name for name, value in zip(names, present, strict=True) if value != entries[name]]
    pipeline = valkey().pipeline(transaction=False)
    for name in differing:
        value = entries[name]
        if value is None:
            pipeline.delete(name)
        else:
            pipeline.set(name, value)
        pipeline.publish(CHANGED, name)
    if differing:
        pipeline.execute()
    return len(differing)
