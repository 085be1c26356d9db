"""Which deliveries are sent next: leased a few at a time, so that nobody's slow server starves others."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import psycopg
from django.db import connection

from kernel.events.dispatcher import connection_parameters
from kernel.tenancy.scope import across_tenants

# At the same time to one endpoint, to one that has failed last, and to all of one organization.
PER_ENDPOINT = 2
PER_FAILING_ENDPOINT = 1
PER_ORGANIZATION = 8
LEASE_SECONDS = 60
# Any number that nothing else in the database locks.
COURIER = 7_203_115

_LEASE = """
WITH busy AS (
    SELECT endpoint_id, organization_id, count(*) AS number
    FROM webhooks_webhookdelivery WHERE state = 'waiting' AND lease_until > now() GROUP BY 1, 2
), candidates AS (
    SELECT due.id, due.next_attempt_at,
        row_number() OVER (PARTITION BY endpoint.organization_id ORDER BY due.place, due.next_attempt_at)
            + coalesce((SELECT sum(number) FROM busy
                        WHERE busy.organization_id = endpoint.organization_id), 0) AS place
    FROM webhooks_webhookendpoint endpoint
    CROSS JOIN LATERAL (
        SELECT id, next_attempt_at, row_number() OVER (ORDER BY next_attempt_at) AS place
        FROM webhooks_webhookdelivery
        WHERE endpoint_id = endpoint.id AND state = 'waiting' AND next_attempt_at <= now()
            AND (lease_until IS NULL OR lease_until <= now())
        ORDER BY next_attempt_at LIMIT %(per_endpoint)s
    ) due
    WHERE endpoint.enabled AND due.place
        + coalesce((SELECT sum(number) FROM busy WHERE busy.endpoint_id = endpoint.id), 0)
        <= CASE WHEN endpoint.failing_since IS NULL THEN %(per_endpoint)s ELSE %(per_failing)s END
)
UPDATE webhooks_webhookdelivery SET lease_until = now() + make_interval(secs => %(seconds)s)
WHERE id IN (
    SELECT id FROM candidates WHERE place <= %(per_organization)s ORDER BY next_attempt_at LIMIT %(most)s
) AND state = 'waiting' AND (lease_until IS NULL OR lease_until <= now())
RETURNING id, organization_id
"""


def lease(most: int) -> list[tuple[UUID, UUID]]:
    """Take up to so many deliveries that are due: their ids and their organizations'.

    A lease ends by itself, so that what a dead process was sending is sent again.
    """
    if most <= 0:
        return []
    bounds = {
        "per_endpoint": PER_ENDPOINT,
        "per_failing": PER_FAILING_ENDPOINT,
        "per_organization": PER_ORGANIZATION,
        "seconds": LEASE_SECONDS,
        "most": most,
    }
    with across_tenants(), connection.cursor() as cursor:
        cursor.execute(_LEASE, bounds)
        return [(row[0], row[1]) for row in cursor.fetchall()]


@contextmanager
def the_only_courier() -> Iterator[bool]:
    """Whether nobody else sends now; the bounds above hold for one courier. A dead one is no hindrance."""
    with psycopg.connect(**connection_parameters(), autocommit=True) as holder:
        yield holder.execute("SELECT pg_try_advisory_lock(%s)", [COURIER]).fetchone() == (True,)
