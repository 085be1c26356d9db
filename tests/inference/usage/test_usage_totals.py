"""Totals: whatever is redelivered, reordered or done twice, they are the sums of the records."""

import random
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from typing import Any
from uuid import uuid4

import orjson
import pytest
import redis
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference.gateway.metering.usage import UsageRecord as Sent
from inference.usage import execution
from inference.usage.cells import Sums
from inference.usage.models import Grain, UsageBucket, UsageRecord
from kernel.ids import uuid7
from tenants.access.models import ApiKey
from tenants.compliance.execution import retaining
from tests.cast import WORKING, Person, new_person
from tests.inference.usage.house import DAY, HOUR, MINUTE, THEN, buckets, put, sent, stored, used
from tests.tenants.compliance.house import erase

COLUMNS = tuple(column.name for column in fields(Sums))


def total(rows: Iterable[UsageBucket]) -> Sums:
    """All of them added up."""
    found = Sums()
    for row in rows:
        found += Sums(*(getattr(row, name) for name in COLUMNS))
    return found


def of_records(person: Person) -> Sums:
    """What the stored records add up to."""
    found = Sums()
    for row in stored(person):
        cached = row.prompt_tokens if row.cache == "hit" else 0
        found += Sums(1, row.prompt_tokens, cached, row.completion_tokens, row.cost_microunits or 0)
    return found


def test_a_request_is_counted_in_its_minute_its_hour_and_its_day(owner: Person, valkey: redis.Redis) -> None:
    key = str(uuid4())
    used(
        valkey,
        *(sent(owner, key_id=key, started_at=THEN + later) for later in (0, 1, MINUTE, HOUR, DAY)),
    )
    assert [row.requests for row in buckets(owner, Grain.MINUTE)] == [2, 1, 1, 1]
    assert [row.requests for row in buckets(owner, Grain.HOUR)] == [3, 1, 1]
    first, second = buckets(owner, Grain.DAY)
    assert (first.requests, first.prompt_tokens, first.completion_tokens) == (4, 4 * 12, 4 * 34)
    assert (first.start.isoformat(), second.start.isoformat()) == (
        "2026-09-21T00:00:00+00:00",
        "2026-09-22T00:00:00+00:00",
    )


def test_a_record_that_comes_again_is_counted_once(owner: Person, valkey: redis.Redis) -> None:
    document = sent(owner)
    used(valkey, document, document)
    used(valkey, document, {**document, "completion_tokens": 99})
    assert total(buckets(owner)) == Sums(1, 12, 0, 34, 0)


def test_a_drain_that_fails_midway_counts_nothing_and_the_next_one_all(
    owner: Person, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(valkey, sent(owner), sent(owner))

    def fail(*_: Any) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(execution.uses, "write_uses", fail)
        with pytest.raises(ConnectionError):
            execution.drain()
    assert buckets(owner) == []
    execution.drain(abandoned_milliseconds=0)
    assert total(buckets(owner)) == of_records(owner) == Sums(2, 24, 0, 68, 0)


def test_two_drains_with_the_same_entries_count_each_once(owner: Person) -> None:
    entries = [entry(number, sent(owner)) for number in range(60)]

    def store(seed: int) -> None:
        mixed = list(entries)
        random.Random(seed).shuffle(mixed)
        try:
            for start in range(0, len(mixed), 7):
                execution.store(mixed[start : start + 7])
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(store, range(4)))
    assert total(buckets(owner)) == of_records(owner)
    assert len(stored(owner)) == 60


def entry(number: int, document: dict[str, Any]) -> execution.Entry:
    return f"1-{number}".encode(), {b"record": orjson.dumps(document)}


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[list[int]]]:
    """Changes of some records, and the batches in which they are delivered: in any order, any number of times
    but once at least.
    """
    records = draw(
        st.lists(
            st.fixed_dictionaries(
                {
                    "prompt_tokens": st.integers(0, 10**9),
                    "completion_tokens": st.integers(0, 10**9),
                    "started_at": st.floats(THEN - 2 * DAY, THEN + 2 * DAY),
                    "model": st.sampled_from(["a", "b", "=c"]),
                    "surface": st.sampled_from(["chat", "chat.completions", "embeddings"]),
                    "key_id": st.sampled_from([None, str(uuid4())]),
                    "status": st.sampled_from(["completed", "cancelled", "failed"]),
                    "cache": st.sampled_from([None, "hit", "miss", "off"]),
                    "batch": st.booleans(),
                }
            ),
            min_size=1,
            max_size=12,
        )
    )
    again = draw(st.lists(st.integers(0, len(records) - 1), max_size=12))
    order = draw(st.permutations([*range(len(records)), *again]))
    size = draw(st.integers(1, len(order)))
    return records, [list(order[start : start + size]) for start in range(0, len(order), size)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories())
def test_totals_are_the_sums_of_records_whatever_is_delivered_how_often(
    stores: Any, history: tuple[list[dict[str, Any]], list[list[int]]]
) -> None:
    changes, batches = history
    person = new_person()
    documents = [sent(person, **change) for change in changes]
    for batch in batches:
        execution.store([entry(number, documents[number]) for number in batch])
    assert len(stored(person)) == len(documents)
    for grain in Grain:
        assert total(buckets(person, grain)) == of_records(person), grain


def test_what_a_key_used_counts_as_its_makers(owner: Person, valkey: redis.Redis) -> None:
    with owner.acting():
        key = ApiKey.objects.get()
    used(valkey, sent(owner, key_id=str(key.pk)))
    [row] = buckets(owner)
    assert (row.key_id, row.user_id) == (key.pk, owner.user.pk)


def test_an_answer_from_the_cache_is_counted_as_cached_and_costs_nothing(
    owner: Person, valkey: redis.Redis
) -> None:
    used(valkey, sent(owner, cache="hit"), sent(owner, cache="miss"))
    assert sum(row.cached_prompt_tokens for row in buckets(owner)) == 12
    assert sum(row.prompt_tokens for row in buckets(owner)) == 24


def test_a_record_says_why_it_was_served_so(owner: Person, valkey: redis.Redis) -> None:
    why = {
        "permission": "key inference.complete",
        "closest_limit": "tokens_per_day of the project",
        "cache": "miss",
        "route": "replica-2",
        "guardrail": "passed",
        "canary": "candidate",
    }
    used(valkey, sent(owner, batch=True, **why), sent(owner, **dict.fromkeys(why)))
    silent, told = sorted(stored(owner), key=lambda row: row.batch)
    assert {name: getattr(told, name) for name in why} == why
    assert {getattr(silent, name) for name in why} == {""}
    assert (told.batch, silent.batch) == (True, False)


def test_everything_that_a_gateway_says_is_kept() -> None:
    columns = {field.attname for field in UsageRecord._meta.concrete_fields}
    assert {"id" if field.name == "request_id" else field.name for field in fields(Sent)} <= columns


def test_strangers_totals_are_not_there(owner: Person, stranger: Person, valkey: redis.Redis) -> None:
    used(valkey, sent(owner))
    assert buckets(stranger) == []
    with stranger.acting(), connection.cursor() as cursor:
        for table in ("usage_usagebucket", "usage_usagebucket_day", "usage_usagebucket_minute"):
            cursor.execute(f"SELECT count(*) FROM {table}")
            assert cursor.fetchone() == (0,)


def test_a_person_who_is_erased_leaves_the_totals_and_the_sums_stay(
    owner: Person, valkey: redis.Redis
) -> None:
    leaver = new_person(*WORKING, joining=owner)
    of_leaver = {"key_id": None, "user_id": str(leaver.user.pk)}
    used(valkey, sent(owner, **of_leaver), sent(owner, key_id=None))
    assert erase(owner, user_id=leaver.user.public_id)["state"] == "completed"
    rows = buckets(owner)
    assert [row.user_id for row in rows] == [None, None]
    used(valkey, sent(owner, key_id=None))
    assert total(buckets(owner)) == Sums(3, 36, 0, 102, 0)


def test_totals_stay_when_their_records_go_by_retention(owner: Person, valkey: redis.Redis) -> None:
    old = str(uuid7())
    used(valkey, sent(owner, request_id=old, started_at=THEN - 400 * DAY), sent(owner))
    body = {"kind": "usage records", "days": 365}
    address = "/api/v1/compliance/retention"
    assert owner.browser.put(address, body, content_type="application/json").status_code == 200
    retaining.enforce(owner.organization.pk)
    assert old not in {str(row.id) for row in stored(owner)}
    assert [(row.requests, row.records_gone) for row in buckets(owner)] == [(1, True), (1, False)]
