"""Batches over the REST API: made, listed, read, cancelled, refused; with the official client."""

import json
from typing import Any

import openai
import pytest
from jsonschema import Draft202012Validator

from inference.batches.execution import runner
from inference.batches.models import Batch, BatchState
from inference.batches.services import MAX_UNDER_WAY
from kernel.audit.models import AuditEntry
from tenants.access.permissions import Role
from tenants.datasets.models import DatasetVersion, File
from tests.cast import Person, new_person
from tests.inference.batches.house import ENDPOINT, bring, change, deploy, finished, lines, make, row
from tests.inference.gateway.fake_tgi import FakeTgi
from tests.tenants.datasets.test_files import REFERENCE


def assert_published(name: str, document: dict[str, Any]) -> None:
    """That an answer is what OpenAI's specification says, where there is a copy of it."""
    if REFERENCE.is_file():
        components = json.loads(REFERENCE.read_text())["components"]
        schema = {"$ref": f"#/components/schemas/{name}", "components": components}
        Draft202012Validator(schema).validate(document)


def refused(person: Person, **changes: Any) -> openai.APIStatusError:
    asked: dict[str, Any] = {"endpoint": ENDPOINT, "completion_window": "24h"} | changes
    asked.setdefault("input_file_id", "file-" + "0" * 32)
    with pytest.raises(openai.APIStatusError) as fault:
        person.openai.batches.create(**asked)
    return fault.value


def test_a_batch_is_made_listed_and_read_with_the_official_client(owner: Person) -> None:
    batch = make(owner, lines(2), metadata={"night": "run"})
    assert (batch.object, batch.endpoint, batch.completion_window) == ("batch", ENDPOINT, "24h")
    assert (batch.status, batch.metadata) == ("validating", {"night": "run"})
    assert batch.expires_at == batch.created_at + 24 * 3600
    assert batch.request_counts.total == 0
    second = make(owner, lines(1))
    assert [found.id for found in owner.openai.batches.list()] == [second.id, batch.id]
    assert [found.id for found in owner.openai.batches.list(limit=1)] == [second.id, batch.id]
    assert owner.openai.batches.retrieve(batch.id).input_file_id == batch.input_file_id


def test_what_is_answered_is_openais_batch_in_every_state(owner: Person) -> None:
    batch = make(owner, lines(1))
    errors = [{"code": "invalid_json", "message": "Not JSON.", "param": None, "line": 1}]
    for state in BatchState:
        change(owner, batch.id, state=state, errors=errors, finished_at=row(owner, batch.id).created_at)
        shown = owner.program.get(f"/v1/batches/{batch.id}").json()
        assert shown["status"] == state
        assert_published("Batch", shown)
    listed = owner.program.get("/v1/batches").json()
    assert_published("ListBatchesResponse", listed)


def test_an_input_file_is_no_dataset_and_is_ready_at_once(owner: Person) -> None:
    file = owner.openai.files.retrieve(bring(owner, lines(1)))
    assert (file.purpose, file.status) == ("batch", "processed")
    with owner.acting():
        assert not DatasetVersion.objects.exists()


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"endpoint": "/v1/images/edits"}, "endpoint"),
        ({"endpoint": "/v1/models"}, "endpoint"),
        ({"endpoint": "chat/completions"}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"metadata": {"x" * 65: "y"}}, "metadata"),
        ({"metadata": {str(n): "y" for n in range(17)}}, "metadata"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 60}}, "output_expires_after"),
        ({"output_expires_after": {"anchor": "now", "seconds": 3600}}, "output_expires_after"),
        ({"extra_body": {"priority": 1}}, "priority"),
        ({"input_file_id": "file-x"}, "input_file_id"),
        ({}, "input_file_id"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_by_name(
    owner: Person, changes: dict[str, Any], param: str
) -> None:
    fault = refused(owner, **changes)
    assert (fault.status_code, (fault.param or "").partition(".")[0]) == (400, param)


def test_a_file_for_training_is_no_batch_and_what_batches_make_cannot_be_brought(owner: Person) -> None:
    rows = owner.openai.files.create(file=("rows.jsonl", lines(1)), purpose="fine-tune")
    assert refused(owner, input_file_id=rows.id).code == "invalid_file"
    with pytest.raises(openai.BadRequestError, match="'fine-tune' or 'batch'"):
        owner.openai.files.create(file=("x.jsonl", b"x"), purpose="batch_output")  # type: ignore[arg-type]


def test_a_deleted_file_is_none(owner: Person) -> None:
    file = bring(owner, lines(1))
    owner.openai.files.delete(file)
    assert refused(owner, input_file_id=file).code == "file_not_found"


def test_nothing_of_it_is_there_for_a_stranger(owner: Person, stranger: Person) -> None:
    batch = make(owner, lines(1))
    assert refused(stranger, input_file_id=batch.input_file_id).code == "file_not_found"
    for ask in (stranger.openai.batches.retrieve, stranger.openai.batches.cancel):
        with pytest.raises(openai.NotFoundError):
            ask(batch.id)
    assert list(stranger.openai.batches.list()) == []


def test_who_may_only_look_makes_none_and_cancels_none(owner: Person) -> None:
    viewer = new_person(Role.VIEWER, joining=owner)
    batch = make(owner, lines(1))
    assert viewer.openai.batches.retrieve(batch.id).id == batch.id
    assert refused(viewer, input_file_id=batch.input_file_id).status_code == 403
    with pytest.raises(openai.PermissionDeniedError):
        viewer.openai.batches.cancel(batch.id)


def test_a_batch_that_nobody_began_is_cancelled_by_the_next_worker(owner: Person) -> None:
    batch = make(owner, lines(2))
    assert owner.openai.batches.cancel(batch.id).status == "cancelling"
    assert owner.openai.batches.cancel(batch.id).status == "cancelling"
    runner.run_waiting()
    ended = owner.openai.batches.retrieve(batch.id)
    assert (ended.status, ended.output_file_id, ended.error_file_id) == ("cancelled", None, None)
    assert ended.cancelled_at is not None


def test_what_has_ended_is_not_cancelled(owner: Person, tgi: FakeTgi) -> None:
    deploy(owner)
    ended = finished(owner, lines(1))
    assert ended.status == "completed"
    with pytest.raises(openai.BadRequestError) as fault:
        owner.openai.batches.cancel(ended.id)
    assert fault.value.code == "batch_not_cancellable"


def test_an_organization_has_so_many_batches_under_way_and_no_more(owner: Person) -> None:
    first = make(owner, lines(1))
    known = row(owner, first.id)
    with owner.acting():
        copies = [
            Batch(
                project_id=known.project_id,
                endpoint=ENDPOINT,
                completion_window="24h",
                input_file_id=known.input_file_id,
                expires_at=known.expires_at,
            )
            for _ in range(MAX_UNDER_WAY - 1)
        ]
        Batch.objects.bulk_create(copies)
    fault = refused(owner, input_file_id=first.input_file_id)
    assert (fault.status_code, fault.code) == (429, "too_many_batches")


def test_without_room_for_its_answers_no_batch_is_made(owner: Person) -> None:
    content = lines(50)
    file = bring(owner, content)
    limit = {"scope": "organization", "kind": "storage_bytes", "value": len(content) * 3 // 2}
    answer = owner.browser.put("/api/v1/limits", limit, content_type="application/json")
    assert answer.status_code in (200, 201), answer.content
    assert refused(owner, input_file_id=file).code == "storage_bytes_reached"


def test_answers_are_files_of_the_project_that_count_and_go_when_they_are_to(
    owner: Person, tgi: FakeTgi
) -> None:
    deploy(owner)
    batch = finished(owner, lines(3), output_expires_after={"anchor": "created_at", "seconds": 3600})
    [output] = list(owner.openai.files.list(purpose="batch_output"))
    assert output.id == batch.output_file_id
    assert output.expires_at == pytest.approx(output.created_at + 3600, abs=1)
    assert output.bytes == len(owner.openai.files.content(output.id).read())
    assert owner.openai.files.delete(output.id).deleted


def test_making_and_cancelling_and_its_end_are_recorded(owner: Person) -> None:
    batch = make(owner, lines(1))
    owner.openai.batches.cancel(batch.id)
    runner.run_waiting()
    with owner.acting():
        entries = list(AuditEntry.objects.filter(target=batch.id).order_by("pk"))
    assert [entry.action for entry in entries] == ["batch.create", "batch.cancel", "batch.end"]
    assert [entry.actor == "system" for entry in entries] == [False, False, True]


def test_what_is_made_of_a_file_kept_to_some_is_kept_to_the_same(owner: Person, tgi: FakeTgi) -> None:
    deploy(owner)
    friend = new_person(Role.MODEL_TRAINER, joining=owner)
    other = new_person(Role.MODEL_TRAINER, joining=owner)
    file = bring(owner, lines(1))
    grant = {"object": file, "subject": friend.user.public_id, "actions": ["file.read"]}
    for address, body in (
        ("/api/v1/restrictions", {"object": file, "restricted": True}),
        ("/api/v1/grants", grant),
    ):
        answer = owner.browser.put(address, body, content_type="application/json")
        assert answer.status_code in (200, 201, 204), answer.content
    asked = {"input_file_id": file, "endpoint": ENDPOINT, "completion_window": "24h"}
    made = friend.browser.post("/v1/batches", asked, content_type="application/json")
    assert made.status_code == 200, made.content
    runner.run_waiting()
    output = owner.openai.batches.retrieve(made.json()["id"]).output_file_id
    with owner.acting():
        assert File.objects.get(pk=str(output).removeprefix("file-")).restricted
    assert friend.browser.get(f"/v1/files/{output}").status_code == 200
    assert other.browser.get(f"/v1/files/{output}").status_code == 404
