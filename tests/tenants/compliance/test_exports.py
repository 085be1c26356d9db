"""Copies of what an organization holds, and of what it holds about a person: complete, without secrets."""

import hashlib
import io
import json
import tracemalloc
import zipfile
from typing import Any

import pytest
from django.db.models.functions import Now

from inference.chat.models import Message
from kernel.audit.models import AuditEntry
from kernel.crypto import keys
from kernel.ports.holdings import Erasure
from kernel.storage import objects
from kernel.storage.errors import StorageUnavailable
from tenants.access.models import Member
from tenants.access.permissions import Role
from tenants.compliance import holdings, work
from tenants.compliance.execution import exporting, retaining
from tenants.compliance.models import Export, ExportPart
from tenants.datasets.models import File
from tests.cast import WORKING, Person, new_person, prove
from tests.kernel.webhooks.house import subscribe
from tests.tenants.administration.offices import admin_secret, call, refused
from tests.tenants.compliance.house import (
    EXPORTS,
    bring,
    export,
    export_row,
    make,
    opened,
    row,
    rows_in,
    say,
)

OWN = "/api/v1/account/exports"


def counts_in_tables(person: Person) -> dict[holdings.Model, int]:
    with person.acting():
        return {model: model.objects.count() for model in holdings.tables()}


# What making the export itself writes: its own row and parts, the log and the events of it.
OF_ITSELF = {
    "exports",
    "parts of exports",
    "audit log",
    "audit entries to be sealed",
    "events",
    "answers given again",
}


def test_an_organizations_copy_has_every_row_of_every_table_and_every_stored_file(owner: Person) -> None:
    file = bring(owner, row("A question") * 12)
    say(owner, "Hello", "There")
    subscribe(owner, "https://customer.example/hook")
    before = counts_in_tables(owner)
    made = export(owner)
    assert (made["state"], made["fault"]) == ("ready", "")
    assert made["rows_done"] == made["rows_total"]
    archive = opened(owner, made["id"])
    assert archive.testzip() is None
    for model, count in before.items():
        found = len(rows_in(archive, model))
        if model.holding.kind in OF_ITSELF:
            assert found >= count, model
        else:
            assert found == count, model
    assert archive.read(f"objects/files/{file.pk}") == row("A question") * 12
    assert {turn["content"] for turn in rows_in(archive, Message)} == {"Hello", "There"}
    assert json.loads(archive.read("organization.json"))["name"] == owner.organization.name


def test_the_manifest_names_every_file_with_its_hash(owner: Person) -> None:
    bring(owner, row("A question") * 12)
    made = export(owner)
    archive = opened(owner, made["id"])
    manifest = json.loads(archive.read("manifest.json"))
    named = {entry["name"]: entry for entry in manifest["files"]}
    assert set(named) | {"manifest.json"} == set(archive.namelist())
    for name, entry in named.items():
        content = archive.read(name)
        assert (len(content), hashlib.sha256(content).hexdigest()) == (entry["bytes"], entry["sha256"])
    assert named["rows/files.jsonl"]["rows"] == 1


def test_no_copy_holds_a_secret(owner: Person) -> None:
    webhook = subscribe(owner, "https://customer.example/hook")
    secret = admin_secret(owner)
    made = export(owner)
    archive = opened(owner, made["id"])
    everything = b"".join(archive.read(name) for name in archive.namelist()).decode()
    with owner.acting():
        webhook.refresh_from_db()
        secrets = [secret, owner.secret, webhook.secret]
    assert [one for one in secrets if one in everything] == []
    for model in holdings.tables():
        shown = rows_in(archive, model)[:1]
        assert not any(name in line for line in shown for name in model.holding.withheld), model


def test_a_persons_copy_has_what_is_about_them_and_nothing_of_others(owner: Person) -> None:
    member = new_person(*WORKING, joining=owner)
    say(member, "Mine")
    say(owner, "Not theirs")
    made = export(owner, user_id=member.user.public_id)
    archive = opened(owner, made["id"])
    assert [turn["content"] for turn in rows_in(archive, Message)] == ["Mine"]
    assert [m["user_id"] for m in rows_in(archive, Member)] == [str(member.user.pk)]
    assert "account.json" not in archive.namelist()
    assert not any(name.startswith("objects/") for name in archive.namelist())
    for model in holdings.tables():
        if model.holding.erased is Erasure.NOBODY:
            assert rows_in(archive, model) == [], model


def test_everybody_has_their_own_copy_without_an_administrator(owner: Person) -> None:
    member = new_person(Role.END_USER, joining=owner)
    say(member, "Mine")
    made = export(member, OWN)
    archive = opened(member, made["id"], OWN)
    account = json.loads(archive.read("account.json"))
    assert account["email"] == member.user.email
    assert [turn["content"] for turn in rows_in(archive, Message)] == ["Mine"]
    for address in (f"{EXPORTS}/{made['id']}", f"{EXPORTS}/{made['id']}/file", f"{OWN}/{made['id']}"):
        assert call(owner, "get", address).status_code == 404, address
    assert made["id"] not in call(owner, "get", EXPORTS).content.decode()


def test_starting_and_downloading_a_copy_needs_a_fresh_proof(owner: Person) -> None:
    made = export(owner)
    browser = owner.browser
    prove(browser, owner.user, seconds_ago=3600)
    for answer in (
        browser.post(EXPORTS, {}, content_type="application/json"),
        browser.post(OWN, {}, content_type="application/json"),
        browser.get(f"{EXPORTS}/{made['id']}/file"),
        browser.get(f"{OWN}/{made['id']}/file"),
    ):
        assert refused(answer, 403, "reauthentication_required")


def test_a_copy_is_recorded_when_it_is_asked_for_made_and_downloaded(owner: Person) -> None:
    made = export(owner)
    opened(owner, made["id"])
    with owner.acting():
        rows = AuditEntry.objects.filter(target=made["id"]).order_by("pk")
        assert list(rows.values_list("action", flat=True)) == [
            "export.start",
            "export.finish",
            "export.download",
        ]


def test_one_of_a_kind_at_a_time(owner: Person) -> None:
    assert call(owner, "post", EXPORTS, {}).status_code == 202
    assert refused(call(owner, "post", EXPORTS, {}), 409, "export_under_way")
    assert call(owner, "post", OWN).status_code == 202


def test_a_copy_whose_worker_is_killed_goes_on_after_what_is_stored(
    owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(owner, row("A question") * 12)
    export_id = call(owner, "post", EXPORTS, {}).json()["id"]
    stored, store_part = [], exporting._Exporting._store_part

    def dying(self: Any, model: Any) -> None:
        if len(stored) == 7:
            raise SystemExit("killed")
        stored.append(model)
        store_part(self, model)

    with monkeypatch.context() as patched:
        patched.setattr(exporting._Exporting, "_store_part", dying)
        with pytest.raises(SystemExit):
            make(owner, export_id)
    with owner.acting():
        kept = {part.name: part.object_key for part in ExportPart.objects.all()}
    assert len(kept) == 7
    make(owner, export_id)
    assert export_row(owner, export_id).state == "running"
    with owner.acting():
        Export.objects.update(lease_until=Now() - work.LEASE)
    assert work.revive() >= 1
    made = call(owner, "get", f"{EXPORTS}/{export_id}").json()
    make(owner, export_id)
    archive = opened(owner, made["id"])
    assert len(rows_in(archive, File)) == 1
    with owner.acting():
        assert not ExportPart.objects.exists()
    stored = [key for key in kept.values() if key]
    assert stored
    assert [key for key in stored if objects.exists(owner.organization.pk, key)] == []


def test_a_store_that_is_away_is_told_and_tried_again(owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    export_id = call(owner, "post", EXPORTS, {}).json()["id"]

    def away(*_: Any, **__: Any) -> None:
        raise StorageUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(objects, "put", away)
        make(owner, export_id)
    shown = call(owner, "get", f"{EXPORTS}/{export_id}").json()
    assert (shown["state"], "object store" in shown["fault"]) == ("running", True)
    with owner.acting():
        Export.objects.update(lease_until=None)
    make(owner, export_id)
    assert call(owner, "get", f"{EXPORTS}/{export_id}").json()["state"] == "ready"


def test_a_copy_under_way_is_cancelled(owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    export_id = call(owner, "post", EXPORTS, {}).json()["id"]
    store_part = exporting._Exporting._store_part
    monkeypatch.setattr(work, "BEAT_SECONDS", 0.0)

    def cancelling(self: Any, model: Any) -> None:
        call(owner, "delete", f"{EXPORTS}/{export_id}")
        store_part(self, model)

    monkeypatch.setattr(exporting._Exporting, "_store_part", cancelling)
    make(owner, export_id)
    assert call(owner, "get", f"{EXPORTS}/{export_id}").json()["state"] == "cancelled"
    assert refused(call(owner, "get", f"{EXPORTS}/{export_id}/file"), 409, "export_not_ready")


def test_a_copy_is_removed_when_its_days_are_over(owner: Person) -> None:
    made = export(owner)
    key = export_row(owner, made["id"]).object_key
    with owner.acting():
        Export.objects.update(expires_at=Now())
    retaining.enforce(owner.organization.pk)
    assert call(owner, "get", f"{EXPORTS}/{made['id']}").json()["state"] == "expired"
    assert not objects.exists(owner.organization.pk, key)


def test_what_a_destroyed_key_sealed_is_shown_as_nothing(owner: Person) -> None:
    member = new_person(*WORKING, joining=owner)
    say(member, "Unreadable now")
    keys.destroy_person_key(owner.organization.pk, member.user.pk)
    archive = opened(owner, export(owner)["id"])
    assert [turn["content"] for turn in rows_in(archive, Message)] == [None]


def test_a_copy_larger_than_memory_is_made_in_a_few_mebibytes(owner: Person) -> None:
    size = 96 * 1024 * 1024

    class Zeros(io.RawIOBase):
        left = size

        def read(self, wanted: int = -1, /) -> bytes:
            given = min(wanted, self.left)
            self.left -= given
            return b"\0" * given

    file = bring(owner, row("A question") * 12)
    objects.put(owner.organization.pk, file.object_key, Zeros())
    export_id = call(owner, "post", EXPORTS, {}).json()["id"]
    tracemalloc.start()
    try:
        make(owner, export_id)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    made = export_row(owner, export_id)
    assert made.state == "ready"
    assert most < size / 2, f"{most} bytes"
    print(f"most memory: {most / 1024 / 1024:.1f} MiB for {size / 1024 / 1024:.0f} MiB")
    with zipfile.ZipFile(objects.open_object(owner.organization.pk, made.object_key)) as archive:
        assert archive.getinfo(f"objects/files/{file.pk}").file_size == size
