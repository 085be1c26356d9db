"""Batches at work: answered, refused, slowed down, cancelled, expired, ended with their maker's rights."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from inference.batches.execution import leases, runner
from inference.batches.models import BatchPart
from inference.deployments import snapshot
from inference.deployments.models import Deployment
from kernel.events.models import OutboxEvent
from kernel.storage import objects
from kernel.storage.errors import ObjectMissing
from tenants.access.models import ApiKey, Member
from tenants.access.permissions import Role
from tenants.datasets import execution as datasets
from tenants.datasets.expiry import delete_expired
from tenants.datasets.models import File
from tenants.organizations.models import Organization, OrganizationState
from tests.cast import Person, new_person
from tests.inference.batches.house import (
    ANSWER,
    ANSWER_TOKENS,
    PROMPT_TOKENS,
    at_work,
    bring,
    change,
    deploy,
    finished,
    free,
    line,
    lines,
    make,
    names,
    read,
    row,
    used,
    wait_until,
)
from tests.inference.gateway.fake_tgi import FakeTgi, Script

SLOW = 0.2


def custom_ids(found: list[dict[str, Any]]) -> list[str]:
    return sorted(one["custom_id"] for one in found)


def codes(batch: Any) -> list[str | None]:
    return [error.code for error in batch.errors.data]


def in_progress(person: Person, batch_id: str) -> Any:
    """What to wait for: the first answers are stored."""
    return lambda: row(person, batch_id).completed


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers are stored as soon as they come."""
    monkeypatch.setattr("inference.batches.execution.progress.FLUSH_SECONDS", 0.0)


def test_every_request_is_answered_once_and_billed_once(owner: Person, tgi: FakeTgi) -> None:
    deploy(owner)
    batch = finished(owner, lines(25))
    assert (batch.status, batch.model, batch.error_file_id) == ("completed", "support", None)
    counts = batch.request_counts
    assert (counts.total, counts.completed, counts.failed) == (25, 25, 0)
    answers = read(owner, batch.output_file_id)
    assert custom_ids(answers) == names(range(1, 26))
    for one in answers:
        response = one["response"]
        assert (one["error"], response["status_code"]) == (None, 200)
        assert response["body"]["choices"][0]["message"]["content"] == ANSWER
        assert one["id"] == response["request_id"].replace("req_", "batch_req_")
        assert response["body"]["id"] == response["request_id"].replace("req_", "chatcmpl-")
    records = used(owner)
    assert {record.id.hex for record in records} == {one["id"].removeprefix("batch_req_") for one in answers}
    assert {record.status for record in records} == {"completed"}
    assert batch.usage.input_tokens == sum(record.prompt_tokens for record in records) == 25 * PROMPT_TOKENS
    assert batch.usage.output_tokens == sum(record.completion_tokens for record in records)
    assert batch.usage.output_tokens == 25 * ANSWER_TOKENS
    assert all(record.batch for record in records)
    assert batch.in_progress_at <= batch.finalizing_at <= batch.completed_at


def test_use_counts_for_the_key_that_made_the_batch(owner: Person, tgi: FakeTgi) -> None:
    deploy(owner)
    finished(owner, lines(1))
    with owner.acting():
        key = ApiKey.objects.get(created_by=owner.user)
    [record] = used(owner)
    assert (record.key_id, record.user_id) == (key.pk, None)


def test_requests_that_are_refused_are_in_the_error_file_with_openais_error(
    owner: Person, tgi: FakeTgi
) -> None:
    deploy(owner)
    unknown = line("nobody", body={"model": "nobody", "messages": [{"role": "user", "content": "Hi"}]})
    wrong = line("wrong", body={"model": "support", "messages": "Hi"})
    batch = finished(owner, unknown + line("good") + wrong)
    assert (batch.status, batch.request_counts.completed, batch.request_counts.failed) == ("completed", 1, 2)
    assert custom_ids(read(owner, batch.output_file_id)) == ["good"]
    errors = {one["custom_id"]: one for one in read(owner, batch.error_file_id)}
    found = {
        name: (one["response"]["status_code"], one["response"]["body"]["error"]["code"])
        for name, one in errors.items()
    }
    assert found == {"nobody": (404, "model_not_found"), "wrong": (400, "invalid_type")}


def test_a_file_with_problems_is_refused_with_every_one_and_nothing_is_asked(
    owner: Person, tgi: FakeTgi
) -> None:
    deploy(owner)
    batch = finished(owner, lines(2) + b"not json\n" + line("r1") + line("x", method="GET"))
    assert (batch.status, batch.output_file_id, batch.error_file_id) == ("failed", None, None)
    assert [(error.line, error.code) for error in batch.errors.data] == [
        (3, "invalid_json"),
        (4, "duplicate_custom_id"),
        (5, "invalid_method"),
    ]
    assert batch.failed_at is not None
    assert tgi.seen == []


def test_an_overloaded_model_is_given_time_and_nothing_is_lost(
    owner: Person, tgi: FakeTgi, often: None
) -> None:
    deploy(owner)
    overloaded = {"error": "Model is overloaded", "error_type": "overloaded"}
    tgi.script = Script(status=429, error=overloaded)
    batch = make(owner, lines(6))
    with at_work():
        wait_until(lambda: tgi.seen)
        tgi.script = Script()
        wait_until(lambda: row(owner, batch.id).has_ended)
    ended = owner.openai.batches.retrieve(batch.id)
    assert (ended.status, ended.request_counts.completed) == ("completed", 6)
    assert custom_ids(read(owner, ended.output_file_id)) == names(range(1, 7))
    # A refusal is recorded with nothing used; what was answered is not taken for it.
    records = used(owner)
    assert Counter(record.status for record in records)["completed"] == 6
    assert sum(record.completion_tokens for record in records) == 6 * ANSWER_TOKENS


def test_a_batch_that_must_wait_long_lets_go_and_goes_on_afterwards(
    owner: Person, tgi: FakeTgi, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(owner)
    monkeypatch.setattr("inference.batches.execution.turns.LONG_REST_SECONDS", 0.0)
    tgi.script = Script(status=429, error={"error": "Model is overloaded", "error_type": "overloaded"})
    batch = make(owner, lines(3))
    assert runner.run_waiting() == 1
    waiting = row(owner, batch.id)
    assert (waiting.state, waiting.lease_until, waiting.completed) == ("in_progress", None, 0)
    assert waiting.not_before is not None
    tgi.script = Script()
    free(owner, batch.id)
    runner.run_waiting()
    ended = owner.openai.batches.retrieve(batch.id)
    assert custom_ids(read(owner, ended.output_file_id)) == names(range(1, 4))


def test_a_model_that_breaks_down_on_a_request_is_asked_three_times(owner: Person, tgi: FakeTgi) -> None:
    deploy(owner)
    tgi.script = Script(close_after=2)
    batch = make(owner, lines(1))
    while not row(owner, batch.id).has_ended:
        free(owner, batch.id)
        runner.run_waiting()
    [error] = read(owner, owner.openai.batches.retrieve(batch.id).error_file_id)
    assert error["response"]["body"]["error"]["code"] == "model_failed"
    assert len(tgi.seen) == 3


def test_cancelling_ends_a_batch_within_seconds_and_keeps_what_was_answered(
    owner: Person, tgi: FakeTgi, often: None
) -> None:
    deploy(owner)
    tgi.script = Script(delay=SLOW)
    batch = make(owner, lines(400))
    with at_work() as worker:
        wait_until(in_progress(owner, batch.id))
        owner.openai.batches.cancel(batch.id)
        worker.join(10)
        assert not worker.is_alive()
    ended = owner.openai.batches.retrieve(batch.id)
    assert (ended.status, ended.errors) == ("cancelled", None)
    answered, others = read(owner, ended.output_file_id), read(owner, ended.error_file_id)
    assert ended.request_counts.completed == len(answered) > 0
    assert ended.request_counts.completed + ended.request_counts.failed == 400
    assert custom_ids(answered + others) == names(range(1, 401))
    assert {one["error"]["code"] for one in others} == {"batch_cancelled"}
    assert {one["response"] for one in others} == {None}


def test_a_batch_expires_with_its_window(owner: Person, tgi: FakeTgi, often: None) -> None:
    deploy(owner)
    tgi.script = Script(delay=SLOW)
    batch = make(owner, lines(400))
    with at_work():
        wait_until(in_progress(owner, batch.id))
        change(owner, batch.id, expires_at=Now())
    ended = owner.openai.batches.retrieve(batch.id)
    assert (ended.status, ended.expired_at is not None) == ("expired", True)
    answered, others = read(owner, ended.output_file_id), read(owner, ended.error_file_id)
    assert custom_ids(answered + others) == names(range(1, 401))
    assert {one["error"]["code"] for one in others} == {"batch_expired"}


def test_one_that_rests_expires_too(owner: Person) -> None:
    batch = make(owner, lines(2))
    change(owner, batch.id, expires_at=Now(), not_before=Now() + timedelta(hours=1))
    runner.run_waiting()
    assert owner.openai.batches.retrieve(batch.id).status == "expired"


def revoke_key(owner: Person) -> None:
    with owner.acting():
        ApiKey.objects.filter(created_by=owner.user).update(revoked_at=Now())


def let_key_expire(owner: Person) -> None:
    with owner.acting():
        ApiKey.objects.filter(created_by=owner.user).update(expires_at=Now())


def narrow_key(owner: Person) -> None:
    with owner.acting():
        ApiKey.objects.filter(created_by=owner.user).update(permissions=["batch.read", "batch.write"])


def suspend(owner: Person) -> None:
    with owner.acting():
        Organization.objects.filter(pk=owner.organization.pk).update(state=OrganizationState.SUSPENDED)


def deactivate(owner: Person) -> None:
    with owner.acting():
        Member.objects.filter(user=owner.user).update(deactivated_at=Now())


def delete_input(owner: Person) -> None:
    with owner.acting():
        File.objects.update(deleted_at=Now())


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (revoke_key, "invalid_api_key"),
        (let_key_expire, "invalid_api_key"),
        (narrow_key, "permission_denied"),
        (suspend, "organization_suspended"),
        (deactivate, "key_owner_inactive"),
        (delete_input, "file_not_found"),
    ],
)
def test_a_batch_ends_with_the_rights_of_who_made_it(
    owner: Person, tgi: FakeTgi, often: None, act: Any, code: str
) -> None:
    deploy(owner)
    tgi.script = Script(delay=SLOW)
    batch = make(owner, lines(400))
    with at_work():
        wait_until(in_progress(owner, batch.id))
        act(owner)
    asked = len(tgi.seen)
    ended = row(owner, batch.id)
    assert ended.state == "failed"
    assert [error["code"] for error in ended.errors] == [code]
    assert ended.completed > 0
    # What was answered, and paid for, is kept.
    with owner.acting():
        output = File.objects.get(pk=ended.output_file_id)
    content = b"".join(objects.get(owner.organization.pk, output.object_key))
    assert content.count(b"\n") == ended.completed
    runner.run_waiting()
    assert len(tgi.seen) == asked < 400


def test_a_member_without_the_permission_any_more_ends_the_batch_before_it_begins(
    owner: Person, tgi: FakeTgi
) -> None:
    deploy(owner)
    member = new_person(Role.MODEL_TRAINER, joining=owner)
    asked = {"input_file_id": bring(owner, lines(2)), "endpoint": "/v1/chat/completions"}
    asked["completion_window"] = "24h"
    made = member.browser.post("/v1/batches", asked, content_type="application/json").json()
    deactivate(member)
    runner.run_waiting()
    ended = owner.openai.batches.retrieve(made["id"])
    assert (ended.status, codes(ended)) == ("failed", ["key_owner_inactive"])
    assert tgi.seen == []


def test_a_member_reaches_in_a_batch_the_models_that_are_open_to_them(owner: Person, tgi: FakeTgi) -> None:
    deploy(owner)
    deploy(owner, "secret")
    with owner.acting():
        Deployment.objects.filter(alias="secret").update(restricted=True)
    member = new_person(Role.MODEL_TRAINER, joining=owner)
    body = {"model": "secret", "messages": [{"role": "user", "content": "Hi"}]}
    asked = {
        "input_file_id": bring(owner, line("open") + line("kept", body=body)),
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
    }
    made = member.browser.post("/v1/batches", asked, content_type="application/json").json()
    runner.run_waiting()
    ended = owner.openai.batches.retrieve(made["id"])
    assert custom_ids(read(owner, ended.output_file_id)) == ["open"]
    [refused] = read(owner, ended.error_file_id)
    assert (refused["custom_id"], refused["response"]["status_code"]) == ("kept", 403)
    [record] = used(owner)
    assert record.user_id == member.user.pk


def test_the_same_limits_hold_as_for_any_request(owner: Person, tgi: FakeTgi) -> None:
    deploy(owner)
    limit = {"scope": "organization", "kind": "requests_per_minute", "value": 2}
    answer = owner.browser.put("/api/v1/limits", limit, content_type="application/json")
    assert answer.status_code in (200, 201), answer.content
    snapshot.publish_limits(owner.organization.pk)
    batch = make(owner, lines(4))
    runner.run_waiting()
    waiting = row(owner, batch.id)
    assert (waiting.state, waiting.completed, len(tgi.seen)) == ("in_progress", 2, 2)
    assert waiting.not_before is not None


def test_how_a_batch_went_is_told_and_its_parts_are_gone(owner: Person, tgi: FakeTgi) -> None:
    deploy(owner)
    batch = finished(owner, lines(3))
    with owner.acting():
        assert not BatchPart.objects.exists()
        told = OutboxEvent.objects.filter(resource="batch").order_by("sequence")
        events = [(event.name, event.resource_id) for event in told]
    assert events == [
        ("inference.batch.created.v1", batch.id),
        ("inference.batch.completed.v1", batch.id),
    ]


def test_answers_that_expire_are_deleted_and_their_bytes_go(owner: Person, tgi: FakeTgi) -> None:
    deploy(owner)
    batch = finished(owner, lines(1))
    with owner.acting():
        File.objects.filter(purpose="batch_output").update(expires_at=Now())
        output = File.objects.get(purpose="batch_output")
    assert delete_expired() == 1
    datasets.remove_bytes(owner.organization.pk, output.pk)
    assert list(owner.openai.files.list(purpose="batch_output")) == []
    assert owner.openai.files.retrieve(batch.input_file_id).id == batch.input_file_id
    with pytest.raises(ObjectMissing):
        objects.get(owner.organization.pk, output.object_key)


def test_one_organization_has_one_batch_at_work_and_others_have_their_turn(
    owner: Person, stranger: Person, tgi: FakeTgi
) -> None:
    for person in (owner, owner, stranger):
        make(person, lines(1))
    claimed = [lease.organization_id for _ in range(10) if (lease := leases.claim()) is not None]
    mine = [found for found in claimed if found in (owner.organization.pk, stranger.organization.pk)]
    assert mine == [owner.organization.pk, stranger.organization.pk]
