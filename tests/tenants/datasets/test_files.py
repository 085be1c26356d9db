"""Files over the REST API: brought, validated, turned into dataset versions, deleted."""

import io
import json
from pathlib import Path
from typing import Any

import openai
import pytest

from kernel.audit.models import AuditEntry
from kernel.events.models import OutboxEvent
from kernel.storage import objects
from kernel.storage.errors import ObjectMissing
from tenants.datasets import execution
from tenants.datasets.models import DatasetVersion, File
from tests.cast import Person

REFERENCE = Path(__file__).resolve().parents[4] / "shared" / "reference" / "openai-openapi.json"
GOOD = (
    b'{"messages":[{"role":"user","content":"2+2?"},{"role":"assistant","content":"4 \xe2\x98\x85"}]}\n' * 12
)
BAD = GOOD + b'not json\n{"messages":[]}\n'


def bring(person: Person, content: bytes = GOOD, name: str = "sums.jsonl") -> Any:
    return person.openai.files.create(file=(name, content), purpose="fine-tune")


def process(person: Person, file_id: str) -> File:
    with person.acting():
        file: File = File.objects.get(pk=file_id.removeprefix("file-"))
    execution.process_file(person.organization.pk, file.pk)
    with person.acting():
        file.refresh_from_db()
    return file


def validation(person: Person, file_id: str, query: str = "") -> dict[str, Any]:
    body: dict[str, Any] = person.browser.get(f"/api/v1/files/{file_id}/validation{query}").json()
    return body


def test_a_file_is_brought_listed_and_read_back_with_the_official_client(owner: Person) -> None:
    brought = bring(owner)
    assert (brought.status, brought.bytes, brought.purpose) == ("uploaded", len(GOOD), "fine-tune")
    assert [file.id for file in owner.openai.files.list()] == [brought.id]
    assert owner.openai.files.retrieve(brought.id).filename == "sums.jsonl"
    assert owner.openai.files.content(brought.id).read() == GOOD


def test_the_answer_is_openais_file_object(owner: Person) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    if not REFERENCE.is_file():
        return
    document = json.loads(REFERENCE.read_text())
    schema = {"$ref": "#/components/schemas/OpenAIFile", "components": document["components"]}
    answer = owner.program.post("/v1/files", {"file": io.BytesIO(GOOD), "purpose": "fine-tune"})
    jsonschema.Draft202012Validator(schema).validate(answer.json())


def test_a_good_file_becomes_a_dataset_version_named_by_its_content(owner: Person) -> None:
    one, two = (process(owner, bring(owner).id) for _ in range(2))
    with owner.acting():
        versions = list(DatasetVersion.objects.filter(file__in=[one, two]))
    assert len({version.digest for version in versions}) == 1
    assert [version.rows for version in versions] == [12, 12]
    shown = owner.browser.get(
        f"/api/v1/dataset-versions/{versions[0].public_id}/rows?limit=2&offset=3"
    ).json()
    assert shown["total"] == 12
    assert [row["row"] for row in shown["rows"]] == [4, 5]
    assert shown["rows"][0]["messages"][1]["content"] == "4 ★"
    assert validation(owner, one.public_id)["state"] == "valid"


def test_every_problem_of_a_bad_file_is_reported_with_its_row(owner: Person) -> None:
    file = process(owner, bring(owner, BAD).id)
    assert owner.openai.files.retrieve(file.public_id).status == "error"
    report = validation(owner, file.public_id)
    assert (report["state"], report["rows"], report["valid_rows"]) == ("invalid", 14, 12)
    assert [(p["row"], p["code"]) for p in report["problems"]] == [
        (13, "invalid_json"),
        (14, "missing_messages"),
    ]
    assert report["problem_counts"] == {"invalid_json": 1, "missing_messages": 1}
    assert validation(owner, file.public_id, "?offset=1")["problems_shown"] == 1
    with owner.acting():
        assert not DatasetVersion.objects.filter(file=file).exists()


def test_whoever_reads_a_file_its_rows_or_its_problems_is_recorded(owner: Person) -> None:
    good, bad = process(owner, bring(owner).id), process(owner, bring(owner, BAD).id)
    with owner.acting():
        version = DatasetVersion.objects.get(file=good).public_id
    owner.openai.files.content(good.public_id).read()
    owner.browser.get(f"/api/v1/dataset-versions/{version}/rows?limit=2&offset=3")
    validation(owner, bad.public_id)
    with owner.acting():
        told = AuditEntry.objects.filter(action__in=["file.download", "file.read", "dataset_version.read"])
        entries = list(told.order_by("pk"))
    assert [(entry.action, entry.target, entry.details) for entry in entries] == [
        ("file.download", good.public_id, {}),
        ("dataset_version.read", version, {"offset": 3, "limit": 2}),
        ("file.read", bad.public_id, {"what": "problems", "offset": 0, "limit": 100}),
    ]
    assert entries[0].actor.startswith("key_")
    assert {entry.actor for entry in entries[1:]} == {owner.user.public_id}
    assert {entry.person for entry in entries} == {owner.user.pk}


def test_validation_done_twice_makes_one_version(owner: Person) -> None:
    file = process(owner, bring(owner).id)
    execution.process_file(owner.organization.pk, file.pk)
    with owner.acting():
        assert DatasetVersion.objects.filter(file=file).count() == 1


def test_a_file_whose_validation_was_lost_is_announced_again(
    owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = bring(owner).id
    monkeypatch.setattr(execution, "WAITING_AGE", execution.timedelta(0))
    execution.revive_waiting()
    with owner.acting():
        told = OutboxEvent.objects.filter(
            name="tenants.file.uploaded.v1", aggregate_id=file_id.removeprefix("file-")
        )
        assert told.count() == 2


def test_a_deleted_file_is_gone_and_so_are_its_bytes(owner: Person) -> None:
    file = process(owner, bring(owner).id)
    assert owner.openai.files.delete(file.public_id).deleted
    with pytest.raises(openai.NotFoundError):
        owner.openai.files.retrieve(file.public_id)
    execution.remove_bytes(owner.organization.pk, file.pk)
    execution.remove_bytes(owner.organization.pk, file.pk)
    with pytest.raises(ObjectMissing):
        objects.open_object(owner.organization.pk, file.object_key)
    with owner.acting():
        assert set(AuditEntry.objects.filter(target=file.public_id).values_list("action", flat=True)) == {
            "file.upload",
            "file.delete",
        }


def test_a_stranger_sees_nothing_of_a_file(owner: Person, stranger: Person) -> None:
    file = process(owner, bring(owner).id)
    version = validation(owner, file.public_id)["dataset_version"]
    addresses = [
        f"/v1/files/{file.public_id}",
        f"/v1/files/{file.public_id}/content",
        f"/api/v1/files/{file.public_id}/validation",
        f"/api/v1/dataset-versions/{version}",
        f"/api/v1/dataset-versions/{version}/rows",
    ]
    for address in addresses:
        assert owner.program.get(address).status_code == 200, address
        assert stranger.program.get(address).status_code == 404, address
        assert stranger.browser.get(address).status_code == 404, address
    assert stranger.program.delete(addresses[0]).status_code == 404
    assert stranger.openai.files.list().data == []


@pytest.mark.parametrize(
    ("form", "status", "code", "param"),
    [
        ({"purpose": "fine-tune"}, 400, "missing_file", "file"),
        ({"file": b"", "purpose": "fine-tune"}, 400, "empty_file", "file"),
        ({"file": GOOD, "purpose": "assistants"}, 400, "invalid_purpose", "purpose"),
        ({"file": GOOD}, 400, "invalid_purpose", "purpose"),
    ],
)
def test_a_bad_upload_says_what_is_wrong(
    owner: Person, form: dict[str, Any], status: int, code: str, param: str
) -> None:
    sent = {key: io.BytesIO(value) if isinstance(value, bytes) else value for key, value in form.items()}
    answer = owner.program.post("/v1/files", sent)
    assert answer.status_code == status
    assert (answer.json()["error"]["code"], answer.json()["error"]["param"]) == (code, param)


def test_a_file_over_the_limit_is_refused(owner: Person, settings_with: Any) -> None:
    with settings_with(MAX_FILE_BYTES=10):
        answer = owner.program.post("/v1/files", {"file": io.BytesIO(GOOD), "purpose": "fine-tune"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "file_too_large")


@pytest.mark.parametrize("identifier", ["file-xyz", "nonsense", "file-" + "0" * 32, "dsv-" + "0" * 32])
def test_an_id_that_is_none_is_not_found(owner: Person, identifier: str) -> None:
    answer = owner.program.get(f"/v1/files/{identifier}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_a_line_of_200_megabytes_is_one_problem(owner: Person) -> None:
    file = process(owner, bring(owner, GOOD + b"x" * 200_000_000 + b"\n" + GOOD).id)
    report = validation(owner, file.public_id)
    assert [(p["row"], p["code"]) for p in report["problems"]] == [(13, "line_too_long")]
    assert report["rows"] == 25


def test_the_sample_is_valid_and_one_request_away(owner: Person) -> None:
    answer = owner.browser.post("/api/v1/sample-files")
    assert answer.status_code == 201
    file = process(owner, answer.json()["id"])
    assert validation(owner, file.public_id)["valid_rows"] == 300
