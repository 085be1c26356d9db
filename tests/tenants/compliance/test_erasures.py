"""Erasure of people, of whoever some words name, and of rows: found, planned, approved, done, certified."""

import base64
import io
import json
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from inference.chat.models import Conversation, Message
from inference.usage.models import UsageRecord
from kernel import ids
from kernel.audit.models import AuditEntry
from kernel.crypto import keys
from kernel.crypto.errors import KeyDestroyed
from kernel.crypto.models import PersonKey
from kernel.events.models import OutboxEvent
from kernel.ids import uuid7
from kernel.ports import erasure as port
from kernel.storage import objects
from kernel.storage.names import object_key
from tenants.access.models import ApiKey, Invitation, Member, User
from tenants.access.permissions import Role
from tenants.access.services import members
from tenants.compliance.erasure import ROWS
from tenants.compliance.models import ErasureRequest
from tenants.datasets import execution
from tenants.datasets.models import DatasetVersion, File
from tests.cast import WORKING, Person, new_person
from tests.inference.deployments.house import base_model
from tests.tenants.administration.offices import call, refused
from tests.tenants.compliance.house import (
    ERASURES,
    approve,
    ask,
    bring,
    erase,
    file_of,
    go_on,
    places,
    row,
    say,
    texts_of,
)
from training.registry.models import ModelVersion
from training.registry.services import NewModelVersion, register_model_version

JANE = "jane.doe@customers.example"
ROWS_OF_JANE = row("Where is my order?") * 20 + row(f"I am {JANE}.") + row("Hello?") + row("Jane  Doe here")


def lineage(person: Person, file: File) -> ModelVersion:
    """A model version that learned from the file."""
    version_id = uuid7()
    key = object_key(person.organization.pk, "models", version_id)
    objects.put(person.organization.pk, key, io.BytesIO(b"an archive"))
    with person.acting():
        version = DatasetVersion.objects.get(file=file)
        return register_model_version(
            NewModelVersion(
                id=version_id,
                name=f"ft:{version_id.hex}",
                project_id=person.project.pk,
                created_by_id=person.user.pk,
                base_model=base_model(),
                job_id=uuid7(),
                digest="d" * 64,
                bytes=10,
                object_key=key,
                lineage={"dataset_version_id": version.public_id, "file_id": file.public_id},
            )
        )


def live_files(person: Person) -> list[File]:
    with person.acting():
        return list(File.objects.filter(deleted_at=None).order_by("pk"))


def text_of(file: File) -> bytes:
    return b"".join(objects.get(file.organization_id, file.object_key))


def test_whoever_words_name_is_found_and_the_rows_leave_files_and_versions(owner: Person) -> None:
    before, other = bring(owner, ROWS_OF_JANE), bring(owner, row("Nothing of her") * 12)
    model = lineage(owner, before)
    conversation = say(owner, "A question", f"What did {JANE} order?")
    erasure_id = ask(owner, words=[JANE.upper(), "jane doe"], reference="DSR-7")
    planned = go_on(owner, erasure_id)
    assert planned["state"] == "planned"
    assert places(planned["plan"], "rows of files") == [before.public_id]
    assert places(planned["plan"], "messages") == [conversation.public_id]
    assert planned["models_to_retrain"] == [model.public_id]
    assert text_of(before) == ROWS_OF_JANE
    assert approve(owner, erasure_id).status_code == 202
    done = go_on(owner, erasure_id)
    assert done["state"] == "completed", done
    [kept, rewritten] = live_files(owner)
    assert kept.pk == other.pk
    assert text_of(rewritten) == row("Where is my order?") * 20 + row("Hello?")
    tombstone = file_of(owner, before.pk)
    assert (tombstone.state, tombstone.replaced_by_id) == ("deleted", rewritten.pk)
    gone = call(owner, "get", f"/v1/files/{before.public_id}")
    assert refused(gone, 404, "not_found")
    assert rewritten.public_id in gone.json()["error"]["message"]
    with owner.acting():
        old = DatasetVersion.objects.get(file=before)
    for key in (before.object_key, old.object_key):
        assert not objects.exists(owner.organization.pk, key)
    execution.process_file(owner.organization.pk, rewritten.pk)
    with owner.acting():
        assert DatasetVersion.objects.get(file=rewritten).rows == 21
    assert texts_of(owner, conversation) == ["A question", ""]


def test_the_words_are_sealed_and_gone_when_the_request_is_settled(owner: Person) -> None:
    erasure_id = ask(owner, words=[JANE])
    with owner.acting():
        request = ErasureRequest.objects.get()
        assert JANE in request.subject
        assert JANE.encode() not in bytes(request.sealed_subject)
    with connection.cursor() as cursor, owner.acting():
        cursor.execute("SELECT t::text FROM compliance_erasurerequest t")
        assert JANE not in cursor.fetchone()[0]
    go_on(owner, erasure_id)
    approve(owner, erasure_id)
    assert go_on(owner, erasure_id)["state"] == "completed"
    with owner.acting():
        assert bytes(ErasureRequest.objects.get().sealed_subject) == b""
        told = [str(entry.details) for entry in AuditEntry.objects.all()]
        told += [str(event.payload) for event in OutboxEvent.objects.all()]
    assert JANE not in "".join(told)


def test_an_address_that_only_ends_alike_is_nobodys(owner: Person) -> None:
    bring(owner, row("I am mary.jane.doe@customers.example") * 12)
    planned = go_on(owner, ask(owner, words=[JANE]))
    assert planned["plan"] == []


def test_words_are_found_however_they_are_written(owner: Person) -> None:
    escaped = row("x").replace(b'"x"', b'"My name is J\\u00fcrgen\\n Gro\\u00df"')
    file = bring(owner, escaped + row("a"))
    table = bring(owner, b'prompt,completion\n"who is\nJ\xc3\xbcrgen GROSS","a"\nno,b\n', "table.csv")
    broken = bring(owner, b"\xff no json at all: J\xc3\xbcrgen Gro\xc3\x9f\n" + row("a"), "broken.jsonl")
    done = erase(owner, words=["jürgen groß"])
    assert places(done["plan"], "rows of files") == [f.public_id for f in (file, table, broken)]
    texts = [text_of(file) for file in live_files(owner)]
    assert texts == [row("a"), b"prompt,completion\nno,b\n", row("a")]


def test_a_file_of_which_nothing_is_left_has_no_replacement(owner: Person) -> None:
    file = bring(owner, row(JANE) * 3, f"{JANE}.jsonl")
    assert erase(owner, words=[JANE])["state"] == "completed"
    assert live_files(owner) == []
    assert file_of(owner, file.pk).replaced_by_id is None
    assert file_of(owner, file.pk).filename == "erased.jsonl"


def test_the_name_of_a_file_deleted_long_ago_is_cleared(owner: Person) -> None:
    file = bring(owner, row("x") * 3, f"about {JANE}.csv")
    assert call(owner, "delete", f"/v1/files/{file.public_id}").status_code == 200
    assert places(erase(owner, words=[JANE])["plan"], "names of deleted files") == [file.public_id]
    assert file_of(owner, file.pk).filename == "erased.csv"


def test_named_rows_are_erased_and_no_others(owner: Person) -> None:
    file = bring(owner, b"".join(row(f"Question {number}") for number in range(1, 21)))
    done = erase(owner, rows=[{"file_id": file.public_id, "numbers": [3, 7, 7]}])
    assert [trace["count"] for trace in done["plan"]] == [2]
    [rewritten] = live_files(owner)
    left = text_of(rewritten).decode()
    assert "Question 3" not in left
    assert "Question 7" not in left
    assert len(left.splitlines()) == 18


def test_a_person_is_erased_with_their_key_and_everything_about_them(owner: Person) -> None:
    leaver = new_person(*WORKING, joining=owner)
    say(leaver, "My secret", "Another")
    kept = say(owner, "The owner's own")
    file = bring(leaver, row("A question") * 12)
    with owner.acting():
        UsageRecord.objects.create(**usage_of(leaver))
    done = erase(owner, user_id=leaver.user.public_id)
    assert done["state"] == "completed", done
    with owner.acting():
        assert not Member.objects.filter(user=leaver.user).exists()
        assert [c.pk for c in Conversation.objects.all()] == [kept.pk]
        assert Message.objects.count() == 1
        assert File.objects.get(pk=file.pk).created_by_id is None
        assert UsageRecord.objects.get().user_id is None
        assert PersonKey.objects.get(person=leaver.user.pk).destroyed_at is not None
        assert ApiKey.objects.get(created_by=leaver.user).revoked_at is not None
    with pytest.raises(KeyDestroyed):
        keys.key_for(owner.organization.pk, leaver.user.pk)
    account = User.objects.get(pk=leaver.user.pk)
    assert account.email.endswith("@erased.invalid")
    assert (account.name, account.is_active) == ("", False)
    assert leaver.browser.get("/v1/files").status_code == 401


def usage_of(person: Person) -> dict[str, Any]:
    """A usage record's values."""
    return {
        "project_id": person.project.pk,
        "user_id": person.user.pk,
        "deployment_id": uuid7(),
        "model": "a-model",
        "digest": "d" * 64,
        "surface": "chat",
        "prompt_tokens": 1,
        "completion_tokens": 1,
        "status": "ok",
        "started_at": "2026-11-01T00:00:00Z",
        "duration_ms": 1.0,
    }


def test_who_is_in_another_organization_keeps_the_account(owner: Person, stranger: Person) -> None:
    leaver = new_person(*WORKING, joining=owner)
    with stranger.acting():
        Member.objects.create(user=leaver.user)
    assert erase(owner, user_id=leaver.user.public_id)["state"] == "completed"
    assert User.objects.get(pk=leaver.user.pk).email == leaver.user.email


def test_the_last_owner_is_not_erased(owner: Person) -> None:
    assert refused(call(owner, "post", ERASURES, {"user_id": owner.user.public_id}), 409, "last_owner")
    second = new_person(Role.OWNER, joining=owner)
    erasure_id = ask(owner, user_id=owner.user.public_id)
    with owner.acting():
        members.remove_member(Member.objects.get(user=second.user), by=None)
    found = go_on(owner, erasure_id)
    assert found["state"] == "finding"
    assert "owner" in found["fault"]


def test_what_is_kept_says_why_and_models_are_told_by_an_event(owner: Person) -> None:
    leaver = new_person(*WORKING, joining=owner)
    assert call(leaver, "post", "/api/v1/sample-files").status_code == 201
    file = bring(owner, row(f"{leaver.user.email} wrote") + row("x"))
    model = lineage(owner, file)
    done = erase(owner, user_id=leaver.user.public_id)
    kept = {trace["kind"]: trace["because"] for trace in done["plan"] if trace["fate"] == "kept"}
    assert "proves" in kept["audit log"]
    with owner.acting():
        event = OutboxEvent.objects.get(name="tenants.erasure.completed.v1")
    assert event.payload["model_versions"] == [model.public_id]


def test_the_certificate_verifies_offline_and_a_changed_one_does_not(owner: Person, tmp_path: Path) -> None:
    bring(owner, ROWS_OF_JANE)
    done = erase(owner, words=[JANE], reference="DSR-8")
    certificate = call(owner, "get", f"{ERASURES}/{done['id']}/certificate").json()
    said = json.loads(certificate["document"].split("\n", 1)[1])
    assert said["reference"] == "DSR-8"
    assert said["erased"][0]["kind"] == "rows of files"
    assert said["found_when_looked_for_again"] == 0
    assert JANE not in certificate["document"]
    paths = {name: tmp_path / name for name in ("document", "signature", "key.pem", "certificate.json")}
    paths["document"].write_text(certificate["document"])
    paths["signature"].write_bytes(base64.b64decode(certificate["signature"]))
    paths["key.pem"].write_text(certificate["public_key"])
    paths["certificate.json"].write_text(json.dumps(certificate))
    call_command("verify_certificate", str(paths["certificate.json"]), public_key=paths["key.pem"])
    forged = {**certificate, "document": certificate["document"].replace("DSR-8", "DSR-9")}
    paths["certificate.json"].write_text(json.dumps(forged))
    with pytest.raises(CommandError, match="not valid"):
        call_command("verify_certificate", str(paths["certificate.json"]), public_key=paths["key.pem"])


@pytest.mark.parametrize("after", range(9))
def test_an_erasure_that_dies_anywhere_is_brought_to_the_same_end(
    owner: Person, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaver = new_person(*WORKING, joining=owner)
    say(leaver, "Mine")
    bring(leaver, row(f"I am {leaver.user.email}") + row("stays") * 12)
    erasure_id = ask(owner, user_id=leaver.user.public_id)
    go_on(owner, erasure_id)
    approve(owner, erasure_id)
    steps = 0

    def dying(erase_really: Any) -> Any:
        def step(*args: Any) -> None:
            nonlocal steps
            if steps == after:
                raise ConnectionError("The process is gone.")
            steps += 1
            erase_really(*args)
            if steps == after:
                raise ConnectionError("The process is gone after it.")

        return step

    with monkeypatch.context() as patched:
        for keeper in (*port.keepers(), ROWS):
            patched.setattr(keeper, "erase", dying(keeper.erase))
        patched.setattr(keys, "destroy_person_key", dying(keys.destroy_person_key))
        first = go_on(owner, erasure_id)
    if first["state"] != "completed":
        assert first["fault"]
        assert go_on(owner, erasure_id)["state"] == "completed"
    assert go_on(owner, erasure_id)["state"] == "completed"
    with owner.acting():
        assert not Member.objects.filter(user=leaver.user).exists()
        assert not Conversation.objects.exists()
        assert PersonKey.objects.get(person=leaver.user.pk).destroyed_at is not None
        assert AuditEntry.objects.filter(action="erasure.complete").count() == 1
        assert OutboxEvent.objects.filter(name="tenants.erasure.completed.v1").count() == 1
    [file] = live_files(owner)
    assert text_of(file) == row("stays") * 12


def test_what_came_after_the_plan_is_planned_anew(owner: Person) -> None:
    early = bring(owner, ROWS_OF_JANE)
    erasure_id = ask(owner, words=[JANE])
    go_on(owner, erasure_id)
    late = bring(owner, row(JANE) + row("late"))
    approve(owner, erasure_id)
    again = go_on(owner, erasure_id)
    assert again["state"] == "planned"
    assert places(again["plan"], "rows of files") == [late.public_id]
    approve(owner, erasure_id)
    assert go_on(owner, erasure_id)["state"] == "completed"
    certificate = call(owner, "get", f"{ERASURES}/{erasure_id}/certificate").json()
    said = json.loads(certificate["document"].split("\n", 1)[1])
    assert places(said["erased"], "rows of files") == [early.public_id, late.public_id]


def test_erasing_under_traffic_leaves_nothing_and_breaks_nothing(owner: Person) -> None:
    leaver = new_person(*WORKING, joining=owner)
    say(leaver, "Before")
    stopping, faults = threading.Event(), []

    def work() -> None:
        try:
            while not stopping.is_set():
                bring(owner, row("of somebody else") * 12)
                say(owner, "Meanwhile")
        except Exception as fault:
            faults.append(fault)
        finally:
            connection.close()

    busy = threading.Thread(target=work)
    busy.start()
    try:
        done = erase(owner, user_id=leaver.user.public_id)
    finally:
        stopping.set()
        busy.join()
    assert faults == []
    assert done["state"] == "completed"
    with owner.acting():
        assert not Conversation.objects.filter(created_by=leaver.user).exists()
        assert Conversation.objects.filter(created_by=owner.user).exists()


def test_invitations_to_an_address_go_with_whoever_it_names(owner: Person) -> None:
    call(owner, "post", "/v1/organization/invites", {"email": JANE, "role": "reader"})
    assert erase(owner, words=[JANE])["state"] == "completed"
    with owner.acting():
        assert not Invitation.objects.exists()


def test_nothing_of_another_organization_is_found(owner: Person, stranger: Person) -> None:
    bring(stranger, ROWS_OF_JANE)
    say(stranger, JANE)
    assert go_on(owner, ask(owner, words=[JANE]))["plan"] == []
    assert ids.head_of("erasure") == "erasure-"


def test_the_programs_of_everybody_verify_it(owner: Person, tmp_path: Path) -> None:
    certificate = call(owner, "get", f"{ERASURES}/{erase(owner, words=[JANE])['id']}/certificate").json()
    for name, content in (
        ("document", certificate["document"].encode()),
        ("signature", base64.b64decode(certificate["signature"])),
        ("key.pem", certificate["public_key"].encode()),
    ):
        (tmp_path / name).write_bytes(content)
    program = "openssl pkeyutl -verify -rawin -pubin -inkey key.pem -in document -sigfile signature"
    verified = subprocess.run(program.split(), cwd=tmp_path, check=False, capture_output=True, text=True)
    assert "Verified Successfully" in verified.stdout, verified.stderr
