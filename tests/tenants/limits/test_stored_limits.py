"""Limits that Django itself enforces: storage, training time, and what they answer."""

import io
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from django.db import connection

from kernel.events.models import OutboxEvent
from kernel.ids import uuid7
from tenants.datasets.models import File
from tenants.limits.kinds import Kind, Scope, Subject
from tenants.limits.models import StorageReservation
from tenants.limits.services import uses
from tenants.limits.services.bounds import set_limit
from tenants.limits.services.spend import Charge, charge
from tenants.limits.services.training import Training, count_training
from tests.cast import Person

ROW = b'{"messages":[{"role":"user","content":"2+2?"},{"role":"assistant","content":"4"}]}\n'
WHOLE = Subject(Scope.ORGANIZATION)


def limit(person: Person, kind: Kind, value: int, subject: Subject = WHOLE) -> None:
    with person.acting():
        set_limit(subject, kind, value)


def upload(person: Person, content: bytes = ROW) -> Any:
    try:
        return person.program.post("/v1/files", {"file": io.BytesIO(content), "purpose": "fine-tune"})
    finally:
        connection.close()


def test_an_upload_that_fits_is_taken_and_one_that_does_not_is_told_why(owner: Person) -> None:
    limit(owner, Kind.STORAGE_BYTES, len(ROW) + 10)
    assert upload(owner).status_code == 200
    refused = upload(owner)
    assert refused.status_code == 403
    error = refused.json()["error"]
    assert error["code"] == "storage_bytes_reached"
    assert error["param"] == "storage_bytes"
    assert f"{len(ROW)} of {len(ROW) + 10} bytes are used" in error["message"]
    with owner.acting():
        assert File.objects.count() == 1
        assert not StorageReservation.objects.exists()


def test_fifty_uploads_at_once_cannot_overshoot(owner: Person) -> None:
    limit(owner, Kind.STORAGE_BYTES, 3 * len(ROW))
    with ThreadPoolExecutor(max_workers=12) as pool:
        answers = list(pool.map(lambda _: upload(owner).status_code, range(50)))
    assert sorted(set(answers)) == [200, 403]
    assert answers.count(200) == 3


def test_deleting_a_file_makes_room(owner: Person) -> None:
    limit(owner, Kind.STORAGE_BYTES, len(ROW))
    first = upload(owner).json()["id"]
    assert upload(owner).status_code == 403
    assert owner.program.delete(f"/v1/files/{first}").status_code == 200
    assert upload(owner).status_code == 200


def test_the_strictest_of_a_project_and_a_member_stops_the_member_only(
    owner: Person, teammate: Person
) -> None:
    limit(owner, Kind.STORAGE_BYTES, 10**6, Subject(Scope.PROJECT, owner.project.pk))
    limit(owner, Kind.STORAGE_BYTES, 1, Subject(Scope.MEMBER, teammate.user.pk))
    body = {"file": io.BytesIO(ROW), "purpose": "fine-tune"}
    refused = teammate.browser.post("/v1/files", body)
    assert refused.status_code == 403
    assert "of the member" in refused.json()["error"]["message"]
    assert upload(owner).status_code == 200


def test_a_stranger_is_bounded_by_no_limit_of_another_organization(owner: Person, stranger: Person) -> None:
    limit(owner, Kind.STORAGE_BYTES, 0)
    assert upload(owner).status_code == 403
    assert upload(stranger).status_code == 200


def test_training_time_that_is_used_up_stops_the_next_job_until_next_month(owner: Person) -> None:
    limit(owner, Kind.TRAINING_MINUTES_PER_MONTH, 1)
    training = Training(owner.project.pk, owner.user.pk, "a-base")
    with owner.acting():
        assert count_training(training, seconds=59) is None
        fault = count_training(training, seconds=1)
    assert fault is not None
    assert (fault.status, fault.code) == (429, "training_minutes_per_month_reached")
    assert fault.retry_after_seconds is not None
    assert "1 of 1 are used. It resets at" in fault.message


def test_half_four_fifths_and_all_of_a_limit_are_each_told_once(owner: Person) -> None:
    limit(owner, Kind.TOKENS_PER_DAY, 100)
    one = Charge(datetime.now(UTC), owner.project.pk, owner.user.pk, None, "a", "b", 30, 0)
    with owner.acting():
        for _ in range(5):
            charge([one])
        told = OutboxEvent.objects.filter(name="tenants.limit.reached.v1").order_by("sequence")
        percents = [event.payload["percent"] for event in told]
        assert uses.used(Kind.TOKENS_PER_DAY, WHOLE) == 150
    assert percents == [50, 80, 100]


def test_use_is_counted_per_project_person_and_key(owner: Person) -> None:
    key, other = uuid4(), uuid4()
    now = datetime.now(UTC)
    with owner.acting():
        charge([Charge(now, owner.project.pk, owner.user.pk, key, "a", "b", 5, 5)])
        charge(
            [Charge(now, other, None, None, "a", "b", 1, 0), Charge(now, other, None, key, "a", "b", 2, 0)]
        )
        used = {
            scope: uses.used(Kind.TOKENS_PER_DAY, Subject(scope, which))
            for scope, which in [
                (Scope.ORGANIZATION, None),
                (Scope.PROJECT, other),
                (Scope.MEMBER, owner.user.pk),
                (Scope.KEY, key),
            ]
        }
    assert list(used.values()) == [13, 3, 10, 12]


def test_reservations_of_dead_uploads_stop_counting(owner: Person) -> None:
    limit(owner, Kind.STORAGE_BYTES, len(ROW))
    with owner.acting():
        StorageReservation.objects.create(
            id=uuid7(), project_id=owner.project.pk, bytes=10**6, expires_at=datetime(2020, 1, 1, tzinfo=UTC)
        )
    assert upload(owner).status_code == 200
