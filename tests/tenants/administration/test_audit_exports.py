"""The audit log as evidence: exported, verified with the public key alone, and never held in memory whole."""

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from kernel.audit import export as exporting
from kernel.audit.export import Wanted, export
from kernel.audit.log import Actor, acting_as, record
from kernel.audit.models import AuditSeal
from kernel.audit.verify import ALTERED, Verified, verify_lines
from kernel.crypto import keys, signing
from kernel.crypto.signatures import read_public_keys
from tests.cast import Person

EXPORT = "/api/v1/audit-log/export"


def exported(person: Person, **query: Any) -> list[bytes]:
    """The lines that the person is answered with."""
    answer = person.browser.get(EXPORT, query)
    assert answer.status_code == 200, answer.getvalue()
    assert answer["Content-Type"] == "application/jsonl"
    return answer.getvalue().splitlines(keepends=True)


def verified(lines: list[bytes]) -> Verified:
    return verify_lines(iter(lines), signing.public_keys())


def shown(lines: list[bytes]) -> list[dict[str, Any]]:
    found = (json.loads(line) for line in lines)
    return [line for line in found if line["type"] == "entry"]


def test_an_export_is_verified_and_holds_everything_itself_included(owner: Person) -> None:
    owner.browser.patch("/api/v1/organization", {"name": "New name"}, content_type="application/json")
    lines = exported(owner)
    proved = verified(lines)
    entries = shown(lines)
    assert proved.entries_shown == proved.entries_in_log == len(entries)
    update = next(entry for entry in entries if entry["action"] == "organization.update")
    assert update["details"]["after"] == {"name": "New name"}
    assert update["address"]["text"] == "127.0.0.1"
    assert update["person"] == str(owner.user.pk)
    last = entries[-1]
    assert (last["action"], last["actor"]) == ("audit.export", owner.user.public_id)


def test_who_saw_a_dataset_in_march_is_a_filter_and_the_rest_still_adds_up(owner: Person) -> None:
    with acting_as(Actor("user-x", "203.0.113.5")), owner.acting():
        for number in range(40):
            record("dataset_version.read", f"dsv-{number % 10}", offset=number)
    lines = exported(owner, target=["dsv-3", "dsv-4"], action="dataset_version.read")
    proved = verified(lines)
    assert {entry["target"] for entry in shown(lines)} == {"dsv-3", "dsv-4"}
    assert proved.entries_shown == 8 < proved.entries_in_log
    header = json.loads(lines[0])
    assert header["filters"] == {"actions": ["dataset_version.read"], "targets": ["dsv-3", "dsv-4"]}
    now = datetime.now(UTC)
    assert shown(exported(owner, since=(now + timedelta(hours=1)).isoformat())) == []
    assert len(shown(exported(owner, until=now.isoformat(), actor="user-x"))) == 40


def test_an_erased_persons_address_is_told_as_erased(owner: Person) -> None:
    exported(owner)
    keys.destroy_person_key(owner.organization.pk, owner.user.pk)
    lines = exported(owner)
    verified(lines)
    addresses = [entry["address"] for entry in shown(lines) if entry["address"]]
    assert addresses
    assert all("text" not in address and address["erased"] for address in addresses)


def test_an_export_holds_one_page_at_a_time(owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a log of many pages, what is not asked for yet is not read yet, and no transaction stays open."""
    monkeypatch.setattr(exporting, "PAGE", 10)
    with owner.acting():
        for number in range(100):
            record("an.act", str(number))
    read = []
    ask = exporting._page
    monkeypatch.setattr(exporting, "_page", lambda *given: read.append(given[2]) or ask(*given))
    lines = export(owner.organization.pk, Wanted())
    assert read == []
    taken = [next(lines) for _ in range(12)]
    assert read == [0, 10]
    assert not connection.in_atomic_block
    verified([*taken, *lines])
    assert read == list(range(0, len(range(read[-1] + 10)), 10))


def test_only_who_may_read_the_log_exports_it(teammate: Person, stranger: Person) -> None:
    assert teammate.browser.get(EXPORT).status_code == 403
    entries = shown(exported(stranger))
    with stranger.acting():
        assert {entry["id"] for entry in entries} == {
            str(pk) for pk in AuditSeal.objects.values_list("pk", flat=True)
        }


@pytest.mark.parametrize(
    "query",
    [
        {"since": "March"},
        {"since": "0001-01-01T00:00:00+23:00"},
        {"until": "2026-03-01T00:00:00"},
        {"actor": ["a"] * 101},
        {"who": "me"},
    ],
)
def test_a_wrong_filter_is_named(owner: Person, query: dict[str, Any]) -> None:
    answer = owner.browser.get(EXPORT, query)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == next(iter(query))


def test_checkpoints_and_public_keys_are_there_to_be_kept(owner: Person) -> None:
    lines = exported(owner)
    told = owner.browser.get("/api/v1/audit-log/checkpoints").json()["data"][0]
    given = owner.browser.get("/api/v1/audit-log/public-keys").json()["data"]
    in_export = json.loads(lines[-2])
    assert [told[name] for name in ("document", "key_id", "signature")] == [
        in_export[name] for name in ("document", "key_id", "signature")
    ]
    pem = "".join(key["pem"] for key in given)
    assert verify_lines(iter(lines), read_public_keys(pem)).entries_in_log == told["entries"]
    assert [key["id"] for key in given if key["current"]] == [told["key_id"]]


def test_by_command_too(owner: Person, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    call_command("audit_export", owner.organization.public_id, "--action", "audit.export", stdout=out)
    file = tmp_path / "export.jsonl"
    file.write_text(out.getvalue())
    told = io.StringIO()
    call_command("audit_verify", str(file), stdout=told)
    assert told.getvalue().startswith("Verified: 1 of the ")
    pem = io.StringIO()
    call_command("signing_keys", stdout=pem)
    (tmp_path / "key.pem").write_text(pem.getvalue())
    file.write_text(out.getvalue().replace("audit.export", "audit.exporT"))
    with pytest.raises(SystemExit) as ended:
        call_command("audit_verify", str(file), "--public-key", str(tmp_path / "key.pem"), stdout=told)
    assert ended.value.code == ALTERED
    assert "NOT verified: line 1:" in told.getvalue()
