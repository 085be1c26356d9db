"""When a key was last used: known within a minute, written once a minute, never in a request."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tenants.access.models import ApiKey
from tenants.access.services import uses
from tests.cast import Person
from tests.tenants.access.keyrings import answer_to


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    uses._remembered.clear()


def last_used(person: Person) -> datetime | None:
    with person.acting():
        moment: datetime | None = ApiKey.objects.get().last_used_at
    return moment


def test_a_request_notes_the_use_and_a_worker_writes_it(owner: Person) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    with CaptureQueriesContext(
        connection,
    ) as seen:
        assert answer_to(owner.secret) == (200, None)
    assert not [q for q in seen.captured_queries if q["sql"].startswith("UPDATE")]
    assert last_used(owner) is None
    uses.write_noted()
    moment = last_used(owner)
    assert moment is not None
    assert before <= moment <= datetime.now(UTC)
    shown = owner.browser.get("/api/v1/api-keys").json()["data"][0]["last_used_at"]
    assert datetime.fromisoformat(shown) == moment


def test_a_busy_key_is_noted_once_a_minute(owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[Any] = []

    class Counting:
        def hset(self, *wanted: Any) -> None:
            noted.append(wanted)

    monkeypatch.setattr(uses, "_valkey", Counting)
    for _ in range(5):
        assert answer_to(owner.secret) == (200, None)
    assert len(noted) == 1


def test_the_table_is_written_at_most_once_a_minute(owner: Person) -> None:
    with owner.acting():
        key = ApiKey.objects.get()
        moment = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
        assert uses.write_uses({key.pk: moment}) == 1
        assert uses.write_uses({key.pk: moment + timedelta(seconds=59)}) == 0
        assert uses.write_uses({key.pk: moment - timedelta(hours=1)}) == 0
        assert uses.write_uses({key.pk: moment + timedelta(seconds=60)}) == 1
    assert last_used(owner) == moment + timedelta(seconds=60)


def test_what_a_worker_that_died_was_writing_is_written_by_the_next(owner: Person) -> None:
    assert answer_to(owner.secret) == (200, None)
    uses._valkey().rename(uses.NOTED, uses.BEING_WRITTEN)
    uses.write_noted()
    assert last_used(owner) is not None
    assert not uses._valkey().exists(uses.BEING_WRITTEN)


def test_a_key_works_while_its_use_cannot_be_noted(owner: Person, stores: Any) -> None:
    stores.stop("valkey")
    try:
        assert answer_to(owner.secret, "/v1/files") == (200, None)
    finally:
        stores.start("valkey")
