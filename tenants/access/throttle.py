"""How often one customer's network may ask for something that needs no sign-in."""

import time

from django.core.cache import cache
from redis.exceptions import RedisError

from kernel.addresses import customer_network
from kernel.errors import DomainError, Unavailable

WINDOW_SECONDS = 60


class TooManyRequests(DomainError):
    """The caller's network asks too often."""

    code, status = "rate_limit_exceeded", 429


def count(what: str, address: str, *, per_minute: int) -> None:
    """Count a request from an address. Raises `TooManyRequests`; `Unavailable` where it cannot be counted."""
    now = int(time.time())
    name = f"throttle:{what}:{customer_network(address)}:{now // WINDOW_SECONDS}"
    try:
        cache.add(name, 0, timeout=2 * WINDOW_SECONDS)
        seen = cache.incr(name)
    except (RedisError, ValueError) as fault:
        raise Unavailable from fault
    if seen > per_minute:
        rest = WINDOW_SECONDS - now % WINDOW_SECONDS
        refusal = TooManyRequests(
            f"At most {per_minute} requests a minute are taken here from one network; try again in {rest} s."
        )
        refusal.retry_after_seconds = rest
        raise refusal
