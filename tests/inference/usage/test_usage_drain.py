"""Usage: each request is stored once, whatever dies on the way, and nothing unusable stops the rest."""

import secrets
import time
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
import redis
from django.db import DatabaseError, connection, transaction

from inference.usage import execution
from inference.usage.models import UsageRecord
from kernel.ids import uuid7
from tenants.access.models import ApiKey
from tests.cast import Person
from tests.inference.usage.house import STREAM, put, sent, stored

DEAD = "lw:usage:dead"


def test_a_request_is_stored_with_everything_the_gateway_said(owner: Person, valkey: redis.Redis) -> None:
    document = sent(owner)
    put(valkey, document)
    execution.drain()
    [row] = stored(owner)
    assert (str(row.id), str(row.project_id), str(row.key_id)) == (
        document["request_id"],
        document["project_id"],
        document["key_id"],
    )
    assert (row.user_id, str(row.model_version_id)) == (None, document["model_version_id"])
    assert (row.prompt_tokens, row.completion_tokens) == (12, 34)
    assert (row.status, row.finish_reason, row.surface) == ("completed", "stop", "chat.completions")
    assert row.started_at.timestamp() == 1_790_000_000.25
    assert (row.first_token_ms, row.duration_ms) == (20.5, 345.75)
    assert valkey.xlen(STREAM) == 0


def test_the_base_model_is_no_model_version(owner: Person, valkey: redis.Redis) -> None:
    put(valkey, sent(owner, model_version_id="", finish_reason=None, first_token_ms=None, status="cancelled"))
    execution.drain()
    [row] = stored(owner)
    assert (row.model_version_id, row.finish_reason, row.first_token_ms) == (None, "", None)


def test_a_replayed_record_is_stored_once(owner: Person, valkey: redis.Redis) -> None:
    document = sent(owner)
    put(valkey, document, document)
    execution.drain()
    put(valkey, document, {**document, "completion_tokens": 99})
    execution.drain()
    [row] = stored(owner)
    assert row.completion_tokens == 34
    assert valkey.xlen(STREAM) == 0


def test_a_worker_killed_between_storing_and_acknowledging_costs_no_record_and_no_double(
    owner: Person, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(valkey, *[sent(owner) for _ in range(20)])

    class Killed(BaseException):
        """As SIGKILL would, at that very place."""

    def die(entry_ids: list[bytes]) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(execution, "forget", die)
        with pytest.raises(Killed):
            execution.drain()
    assert len(stored(owner)) == 20
    assert valkey.xlen(STREAM) == 20
    # Another worker finds them abandoned.
    monkeypatch.setattr(execution, "_name", lambda: "another-worker")
    assert execution.drain(abandoned_milliseconds=0) >= 20
    assert len(stored(owner)) == 20
    assert sum(row.completion_tokens for row in stored(owner)) == 20 * 34
    assert valkey.xlen(STREAM) == 0
    assert valkey.xpending(STREAM, "usage")["pending"] == 0


def test_a_worker_killed_before_storing_costs_no_record(
    owner: Person, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(valkey, *[sent(owner) for _ in range(5)])

    def away(entries: Any) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(execution, "store", away)
        with pytest.raises(ConnectionError):
            execution.drain()
    assert stored(owner) == []
    execution.drain(abandoned_milliseconds=0)
    assert len(stored(owner)) == 5


def test_what_is_pending_at_a_living_worker_is_left_to_it(owner: Person, valkey: redis.Redis) -> None:
    execution.drain()
    put(valkey, sent(owner))
    valkey.xreadgroup("usage", "a-living-worker", {STREAM: ">"}, count=10)
    execution.drain()
    assert stored(owner) == []
    execution.drain(abandoned_milliseconds=0)
    assert len(stored(owner)) == 1


WRONG: list[dict[str, Any]] = [
    {"request_id": "nonsense"},
    {"request_id": "00000000-0000-4000-8000-000000000000"},
    {"organization_id": None},
    {"model": "m" * 251},
    {"model": "a\0b"},
    {"prompt_tokens": -1},
    {"prompt_tokens": 1.5},
    {"completion_tokens": True},
    {"completion_tokens": 2**60},
    {"status": "paid"},
    {"started_at": "now"},
    {"started_at": 1e300},
    {"duration_ms": None},
    {"digest": 5},
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: str(wrong)[:40])
def test_a_malformed_record_is_set_aside_and_the_others_are_stored(
    owner: Person, valkey: redis.Redis, wrong: dict[str, Any]
) -> None:
    before, marker = valkey.xlen(DEAD), secrets.token_hex(8)
    put(valkey, sent(owner), sent(owner, surface=marker, **wrong), sent(owner))
    execution.drain()
    assert len(stored(owner)) == 2
    assert valkey.xlen(STREAM) == 0
    assert valkey.xlen(DEAD) == before + 1
    [(_, dead)] = cast(Any, valkey.xrevrange(DEAD, count=1))
    assert marker.encode() in dead[b"record"]
    assert next(iter(wrong)).encode() in dead[b"reason"]


@pytest.mark.parametrize("junk", [b"", b"{", b"[]", b"7", b"\xff\xfe", b'{"a":' * 2000])
def test_what_is_no_json_object_is_set_aside(owner: Person, valkey: redis.Redis, junk: bytes) -> None:
    before = valkey.xlen(DEAD)
    put(valkey, junk, sent(owner))
    execution.drain()
    assert len(stored(owner)) == 1
    assert valkey.xlen(DEAD) == before + 1


def test_a_record_for_another_organizations_project_is_set_aside(
    owner: Person, stranger: Person, valkey: redis.Redis
) -> None:
    before = valkey.xlen(DEAD)
    put(
        valkey,
        sent(owner, project_id=str(stranger.project.pk)),
        sent(owner, organization_id=str(uuid4())),
        sent(stranger),
    )
    execution.drain()
    assert stored(owner) == []
    assert len(stored(stranger)) == 1
    assert valkey.xlen(DEAD) == before + 2


def test_the_log_of_a_record_set_aside_names_ids_only(
    owner: Person, stranger: Person, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[dict[str, Any]] = []

    class Log:
        def error(self, event: str, **facts: Any) -> None:
            said.append(facts)

    monkeypatch.setattr(execution, "log", Log())
    put(valkey, sent(owner, model="a secret name", project_id=str(stranger.project.pk)))
    execution.drain()
    [facts] = said
    assert "a secret name" not in str(facts)
    assert facts["request_id"]


def partition_of(record_id: UUID) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM usage_usagerecord WHERE id = %s", [record_id])
        return str(cursor.fetchone()[0])


def test_a_record_lies_in_its_months_partition_and_strangers_cannot_read_it_there(
    owner: Person, stranger: Person, valkey: redis.Redis
) -> None:
    put(valkey, sent(owner))
    execution.drain()
    [row] = stored(owner)
    with owner.acting():
        partition = partition_of(row.id)
    assert partition == time.strftime("usage_usagerecord_y%Ym%m", time.gmtime(_seconds(row)))
    for person, seen in ((owner, 1), (stranger, 0)):
        with person.acting(), connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {partition} WHERE id = %s", [row.id])
            assert cursor.fetchone() == (seen,)


def _seconds(row: UsageRecord) -> float:
    return (row.id.int >> 80) / 1000


def test_a_record_cannot_be_written_for_another_organization(owner: Person, stranger: Person) -> None:
    def forge() -> None:
        with owner.acting(), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO usage_usagerecord_default SELECT gen_random_uuid(), %s, %s, NULL, NULL, %s,"
                " NULL, 'm', 'd', 's', 1, 1, 'completed', '', now(), NULL, 1",
                [stranger.organization.pk, stranger.project.pk, uuid4()],
            )

    with pytest.raises(DatabaseError), transaction.atomic():
        forge()


def test_records_that_came_before_their_months_partition_move_into_it(
    owner: Person, valkey: redis.Redis
) -> None:
    ahead = 5
    then = int((time.time() + ahead * 31 * 86_400) * 1000)
    early = UUID(int=(then << 80) | (uuid7().int & (1 << 80) - 1))
    put(valkey, sent(owner, request_id=str(early)))
    execution.drain()
    with owner.acting():
        assert partition_of(early) == "usage_usagerecord_default"
    with connection.cursor() as cursor:
        cursor.execute("SELECT usage_make_partitions(%s)", [ahead + 1])
        assert cursor.fetchone()[0] >= 1
    with owner.acting():
        assert partition_of(early).startswith("usage_usagerecord_y")
    assert [row.id for row in stored(owner)] == [early]
    assert execution.make_partitions() == 0


def test_what_a_key_did_at_the_gateway_shows_when_it_was_last_used(
    owner: Person, valkey: redis.Redis
) -> None:
    with owner.acting():
        key = ApiKey.objects.get()
    put(
        valkey,
        sent(owner, key_id=str(key.pk), started_at=1_790_000_100.0),
        sent(owner, key_id=str(key.pk), started_at=1_790_000_000.0),
    )
    execution.drain()
    with owner.acting():
        key.refresh_from_db()
    assert key.last_used_at is not None
    assert key.last_used_at.timestamp() == 1_790_000_100.0
