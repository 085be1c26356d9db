"""Whether usage and costs are read as fast among ten million records as among a hundred thousand:
`make bench-usage`.

One organization of 24 callers and models fills a month. Records are generated in the database, and the
totals from them by the sums that the drain would have added; both grow in steps, and the same queries are
asked through the API after each. Nothing else uses the records, so of their indexes and keys only the
primary one is kept.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any
from uuid import UUID

import psycopg

from config.onemachine import environment
from config.onemachine.environment import Place
from tests.benchmarks.figures import Figure, against, at_most_of, keep
from tests.benchmarks.platform import stores

STEPS = (100_000, 1_000_000, 10_000_000)
PROJECTS, KEYS, MODELS = 2, 4, 3
DAYS = 28
ROUNDS = 25
GOAL = 1.5
ADD_RECORDS = """
INSERT INTO usage_usagerecord (
    id, organization_id, project_id, key_id, user_id, deployment_id, model, digest, surface,
    prompt_tokens, completion_tokens, status, finish_reason, started_at, duration_ms, cost_microunits)
SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex({step}), 3, '0')
        || 'a' || lpad(to_hex(n), 15, '0'))::uuid,
    %(organization)s, (%(projects)s::uuid[])[1 + n %% {projects}], (%(keys)s::uuid[])[1 + n / 7 %% {keys}],
    NULL, %(organization)s, 'model-' || (n / 3 %% {models}), '{step}', 'chat.completions',
    100 + n %% 400, 10 + n %% 90, 'completed', 'stop', at, 1000, 5
FROM (SELECT n, %(start)s + n * (%(length)s::interval / %(rows)s) AS at
      FROM generate_series(0, %(rows)s - 1) AS n) AS generated
"""
COUNT_MINUTES = """
CREATE TEMPORARY TABLE minutes AS
SELECT date_trunc('minute', started_at, 'UTC') AS minute, project_id, key_id, model, count(*) AS requests,
    sum(prompt_tokens) AS prompt, sum(completion_tokens) AS completion, sum(cost_microunits) AS cost
FROM usage_usagerecord WHERE digest = '{step}' GROUP BY 1, 2, 3, 4
"""
# Their ids are as unique as the drain's, and made in the database: of the beginning and of what they are for.
ADD_TOTALS = """
INSERT INTO usage_usagebucket AS held (
    id, organization_id, grain, start, family, project_id, key_id, user_id, model, batch,
    requests, prompt_tokens, cached_prompt_tokens, completion_tokens, cost_microunits)
SELECT (lpad(to_hex((extract(epoch FROM start) * 1000)::bigint), 12, '0')
        || substr(md5(%(grain)s || project_id || key_id || model), 1, 20))::uuid,
    %(organization)s, %(grain)s, start, 'completions', project_id, key_id, NULL, model, false,
    requests, prompt, 0, completion, cost
FROM (SELECT date_trunc(%(unit)s, minute, 'UTC') AS start, project_id, key_id, model,
          sum(requests) AS requests, sum(prompt) AS prompt, sum(completion) AS completion, sum(cost) AS cost
      FROM minutes GROUP BY 1, 2, 3, 4) AS grouped
ON CONFLICT (grain, id) DO UPDATE SET requests = held.requests + EXCLUDED.requests,
    prompt_tokens = held.prompt_tokens + EXCLUDED.prompt_tokens,
    completion_tokens = held.completion_tokens + EXCLUDED.completion_tokens,
    cost_microunits = held.cost_microunits + EXCLUDED.cost_microunits
"""
GRAINS = {"1m": "minute", "1h": "hour", "1d": "day"}


def month() -> datetime:
    """The first moment of the month before this one."""
    this = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (this - timedelta(days=1)).replace(day=1)


def queries(start: datetime) -> dict[str, str]:
    """What is asked, and where: each the longest page of its kind."""
    begin, usage = int(start.timestamp()), "/v1/organization/usage/completions"
    whole = f"start_time={begin}&end_time={begin + DAYS * 86_400}&limit=31"
    late = begin + 14 * 86_400
    by_everything = "&".join(f"group_by={name}" for name in ("project_id", "api_key_id", "model"))
    return {
        "a month by day": f"{usage}?{whole}",
        "a month by day, by model": f"{usage}?{whole}&group_by=model",
        "a month by day, by all": f"{usage}?{whole}&{by_everything}",
        "costs of a month": f"/v1/organization/costs?{whole}&group_by=line_item",
        "the statement": f"/api/v1/organization/statements/{start:%Y-%m}",
        "a week by hour": f"{usage}?start_time={late}&bucket_width=1h&limit=168",
        "an hour by minute": f"{usage}?start_time={late}&bucket_width=1m&limit=60",
        "a day by minute": f"{usage}?start_time={late}&bucket_width=1m&limit=1440",
    }


def fill(free: Any, step: int, rows: int, held: dict[str, Any], start: datetime) -> None:
    """Add so many records, spread over the month, and their totals."""
    statement = ADD_RECORDS.format(step=step, projects=PROJECTS, keys=KEYS, models=MODELS)
    length = timedelta(days=DAYS) - timedelta(seconds=step)
    free.execute(statement, {**held, "rows": rows, "start": start, "length": length})
    free.execute(COUNT_MINUTES.format(step=step))
    for grain, unit in GRAINS.items():
        free.execute(ADD_TOTALS, {**held, "grain": grain, "unit": unit})
    free.execute("DROP TABLE minutes")
    free.execute("VACUUM (ANALYZE) usage_usagebucket")
    free.execute("ANALYZE usage_usagerecord")


def without_indexes(free: Any) -> None:
    """Let the owner write past the tenants' policies, and keep of the records' indexes the primary key."""
    for table in ("usage_usagerecord", "usage_usagebucket"):
        free.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    rows = free.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent IN "
        "('usage_usagerecord'::regclass, 'usage_usagebucket'::regclass)"
    )
    for (partition,) in rows.fetchall():
        free.execute(f"ALTER TABLE {partition} NO FORCE ROW LEVEL SECURITY")
    free.execute("DROP INDEX usage_by_project, usage_by_time")
    # Where records of the month before lie; that they would survive a crash is of no use here.
    free.execute("ALTER TABLE usage_usagerecord_default SET UNLOGGED")
    for name in ("tenant_key", "organization_fk"):
        free.execute(f"ALTER TABLE usage_usagerecord DROP CONSTRAINT usage_usagerecord_{name}")


def milliseconds(act: Callable[[], Any], rounds: int = ROUNDS) -> float:
    """The time of the quickest call after some that warm it up: what else the machine does only adds."""
    times = []
    for number in range(rounds + 5):
        began = time.perf_counter()
        act()
        if number >= 5:
            times.append(time.perf_counter() - began)
    return min(times) * 1e3


def measured(browser: Any, asked: dict[str, str], rows: int) -> dict[str, float]:
    """Each query's time, and that what it says is all there is."""
    found = {}
    for name, address in asked.items():
        answer = browser.get(address)
        assert answer.status_code == 200, answer.content
        if name == "a month by day":
            counts = [one["num_model_requests"] for day in answer.json()["data"] for one in day["results"]]
            assert sum(counts) == rows, (sum(counts), rows)
        found[name] = milliseconds(lambda address=address: browser.get(address))  # type: ignore[misc]
    return found


def growing(place: Place, cast: Any) -> list[Figure]:
    """The same queries after each step."""
    owner = cast.new_person()
    browser, start = owner.browser, month()
    organization = owner.organization.pk
    held: dict[str, Any] = {
        "organization": organization,
        "projects": [UUID(int=organization.int + number + 1) for number in range(PROJECTS)],
        "keys": [UUID(int=organization.int + number + 100) for number in range(KEYS)],
    }
    asked, times, done = queries(start), {}, 0
    with psycopg.connect(environment.owner(place)["DATABASE_URL"], autocommit=True) as free:
        without_indexes(free)
        for step, rows in enumerate(STEPS):
            fill(free, step, rows - done, held, start)
            done = rows
            times[rows] = measured(browser, asked, rows)
        began = time.perf_counter()
        free.execute("SELECT sum(prompt_tokens) FROM usage_usagerecord GROUP BY started_at::date").fetchall()
        scanned = (time.perf_counter() - began) * 1e3
    first, middle, last = STEPS
    figures = [_figure(name, times[last][name], times[first][name]) for name in asked]
    name = "a month by day"
    return [
        Figure(f"{name}, at {middle:,} records", times[middle][name], "ms"),
        *figures,
        against(
            f"{name}, at {last:,}", times[last][name], "ms", peer="adding up the records", peer_value=scanned
        ),
    ]


def _figure(name: str, value: float, before: float) -> Figure:
    """By day and month the time is to stay; minutes and hours fill up until each caller is in each."""
    label, peer = f"{name}, at {STEPS[-1]:,} records", f"at {STEPS[0]:,}"
    if "hour" in name or "minute" in name:
        return against(label, value, "ms", peer=peer, peer_value=before)
    return at_most_of(label, value, "ms", peer=peer, peer_value=before, share=GOAL)


def main() -> list[Figure]:
    """Measure, keep and return the figures."""
    with stores() as place:
        figures = growing(place, import_module("tests.cast"))
    keep("usage", figures)
    return figures


if __name__ == "__main__":
    main()
