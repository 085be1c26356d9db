"""What model servers say that they generated, beside what was recorded of them, hour by hour.

Servers count for everybody at once, so this compares sums across organizations. Each look at a server is
kept; compared is the time between the two looks before, of which every record has arrived by now.
"""

import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

import httpx
import orjson
import structlog
from django.conf import settings
from django.db import connection

from inference.deployments.valkey import valkey
from kernel.tenancy.scope import across_tenants

LOOKS = "lw:usage:counters"
KEPT = 3
METRIC = "tgi_request_generated_tokens_sum"
# A generation that is cut off is recorded and not counted by the server, and it counts probes of its own.
TOLERATED_SHARE = 0.02
TOLERATED_TOKENS = 200
# No request runs longer, with some room for clocks.
LONGEST = timedelta(minutes=20)
TIMEOUT_SECONDS = 10.0

# Across organizations, by the primary key: ids go by time.
_RECORDED = """
SELECT coalesce(sum(completion_tokens) FILTER (WHERE status = 'completed'), 0),
    coalesce(sum(completion_tokens) FILTER (WHERE status <> 'completed'), 0)
FROM usage_usagerecord
WHERE id >= %s AND id < %s AND cache <> 'hit'
    AND started_at + duration_ms * interval '1 millisecond' >= %s
    AND started_at + duration_ms * interval '1 millisecond' < %s
"""

log = structlog.get_logger()


@dataclass(frozen=True)
class Look:
    """What a server had generated since it started, in tokens, at a moment in Unix seconds."""

    at: float
    tokens: float


@dataclass(frozen=True)
class Comparison:
    """Tokens between two looks: as the server counted, as recorded of answers that were completed, and as
    recorded of those that were cut off, some of which the server counted too.
    """

    counted: int
    completed: int
    cut_off: int

    @property
    def difference(self) -> int:
        """How far the server's count lies outside of what the records allow."""
        least, most = self.completed, self.completed + self.cut_off
        return max(least - self.counted, self.counted - most, 0)

    @property
    def is_tolerable(self) -> bool:
        """Whether that is what probes and the ends of the hour explain."""
        return self.difference <= max(TOLERATED_TOKENS, TOLERATED_SHARE * max(self.counted, self.completed))


def compare() -> Comparison | None:
    """Look at the pod's counter, and compare the time between the two looks before; tells what differs.

    None where there is nothing to compare: too few looks, a server that started anew or does not answer.
    Raises `redis.RedisError`.
    """
    look = _look()
    if look is None:
        return None
    client = valkey()
    client.lpush(LOOKS, orjson.dumps(asdict(look)))
    client.ltrim(LOOKS, 0, KEPT - 1)
    looks = [Look(**orjson.loads(one)) for one in cast(list[bytes], client.lrange(LOOKS, 0, KEPT - 1))]
    if len(looks) < KEPT:
        return None
    _, later, earlier = looks
    if later.tokens < earlier.tokens:
        log.info("usage.counters_started_anew", since=_moment(later.at).isoformat())
        return None
    found = comparison_of(_moment(earlier.at), _moment(later.at), int(later.tokens - earlier.tokens))
    tell = log.info if found.is_tolerable else log.error
    tell(
        "usage.counters_agree" if found.is_tolerable else "usage.counters_differ",
        begin=_moment(earlier.at).isoformat(),
        end=_moment(later.at).isoformat(),
        difference=found.difference,
        **asdict(found),
    )
    return found


def comparison_of(start: datetime, end: datetime, counted: int) -> Comparison:
    """What was recorded of answers that ended in this time, beside what the server counted."""
    with across_tenants(), connection.cursor() as cursor:
        cursor.execute(_RECORDED, [_first_id(start - LONGEST), _first_id(end + LONGEST), start, end])
        completed, cut_off = cursor.fetchone()
    return Comparison(counted, int(completed), int(cut_off))


def generated_tokens(exposition: str) -> float | None:
    """The sum of generated tokens in Prometheus' text format; None where it is not told."""
    for line in exposition.splitlines():
        name, _, value = line.partition(" ")
        if name == METRIC:
            return float(value)
    return None


def _look() -> Look | None:
    try:
        answer = httpx.get(f"{settings.POD_URL}/metrics", timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        tokens = generated_tokens(answer.text)
    except (httpx.HTTPError, ValueError) as fault:
        log.warning("usage.counters_unreadable", reason=type(fault).__name__)
        return None
    return None if tokens is None else Look(time.time(), tokens)


def _first_id(moment: datetime) -> UUID:
    """The least request id of a moment."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
