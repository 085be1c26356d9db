"""The audit log: in the act's transaction, and never changed."""

from uuid import UUID

import psycopg
import pytest
from django.db import ProgrammingError, connection
from django.db.models import Model

from config.onemachine import environment
from config.onemachine.environment import Place
from kernel.audit import sealing
from kernel.audit.canonical import commitment, entry_hash
from kernel.audit.checkpoints import make_checkpoint
from kernel.audit.log import Actor, acting_as, record
from kernel.audit.models import ERASED, AuditCheckpoint, AuditEntry, AuditSeal
from kernel.crypto import keys
from kernel.crypto.errors import KeyUnavailable
from kernel.tenancy.tasks import HEADER, tenant_task
from tests.cast import Person


def test_an_act_is_recorded_with_its_actor(owner: Person) -> None:
    with acting_as(Actor("user-1", "127.0.0.1", "req-1")), owner.acting():
        record("file.delete", "file-1", reason="asked")
        entry = AuditEntry.objects.latest("id")
    assert (entry.actor, entry.action, entry.target, entry.outcome) == (
        "user-1",
        "file.delete",
        "file-1",
        "allowed",
    )
    assert entry.details == {"reason": "asked"}


def test_an_act_that_is_undone_leaves_no_entry(owner: Person) -> None:
    def fail_midway() -> None:
        with owner.acting():
            record("undone.act", "nothing")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_midway()
    with owner.acting():
        assert not AuditEntry.objects.filter(action="undone.act").exists()


CHAIN = (AuditEntry, AuditSeal, AuditCheckpoint)


@pytest.fixture
def sealed(owner: Person) -> Person:
    """An owner whose log has entries, seals and a checkpoint."""
    sealing.seal_everything()
    assert make_checkpoint(owner.organization.pk) is not None
    return owner


@pytest.mark.parametrize("model", CHAIN)
@pytest.mark.parametrize("change", ["UPDATE {} SET id = id", "DELETE FROM {}", "TRUNCATE {}"])
def test_entries_cannot_be_changed_or_removed_by_the_application(
    sealed: Person, model: type[Model], change: str
) -> None:
    refused = pytest.raises(ProgrammingError, match=r"append-only|permission denied")
    with refused, sealed.acting(), connection.cursor() as cursor:
        cursor.execute(change.format(model._meta.db_table))


@pytest.mark.parametrize("model", CHAIN)
def test_entries_cannot_be_changed_by_the_tables_owner_either(
    sealed: Person, model: type[Model], place: Place
) -> None:
    """As long as the trigger is there: to remove it is an act of the database's administrator."""
    table = model._meta.db_table
    url = environment.owner(place)["DATABASE_URL"]
    for change in (f"UPDATE {table} SET id = id", f"DELETE FROM {table}", f"TRUNCATE {table}"):
        with psycopg.connect(url) as owner_of_tables:
            owner_of_tables.execute(
                "SELECT set_config('app.organization_id', %s, true)", [str(sealed.organization.pk)]
            )
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
                owner_of_tables.execute(change)


def addressed(person: Person) -> AuditEntry:
    """What the person did from a network address, as it is read back."""
    actor = Actor(person.user.public_id, "203.0.113.9", "req-1", person.user.pk)
    with acting_as(actor), person.acting():
        record("file.download", "file-1")
        entry: AuditEntry = AuditEntry.objects.latest("id")
    return entry


def test_the_address_is_kept_sealed_and_shown(owner: Person) -> None:
    entry = addressed(owner)
    assert b"203.0.113.9" not in bytes(entry.sealed_address) + bytes(entry.address_commitment)
    assert entry.address == "203.0.113.9"
    disclosed = entry.disclosed_address()
    assert disclosed is not None
    assert commitment(*disclosed) == bytes(entry.address_commitment)


def test_an_erased_persons_address_is_gone_and_the_chain_holds(owner: Person) -> None:
    entry = addressed(owner)
    sealing.seal_everything()
    keys.destroy_person_key(owner.organization.pk, owner.user.pk)
    with owner.acting():
        again = AuditEntry.objects.get(pk=entry.pk)
        seal = AuditSeal.objects.get(pk=entry.pk)
        assert again.address == ERASED
        remade = entry_hash(again.to_seal(), seal.sequence, bytes(seal.previous_hash))
        assert remade == bytes(seal.hash)


def test_what_an_erased_person_does_later_is_recorded_without_their_address(owner: Person) -> None:
    keys.destroy_person_key(owner.organization.pk, owner.user.pk)
    entry = addressed(owner)
    assert (entry.action, entry.address, bytes(entry.sealed_address)) == ("file.download", ERASED, b"")


def test_who_takes_their_key_away_is_recorded_all_the_same(
    owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(organization_id: UUID, person: UUID | None = None) -> None:
        raise KeyUnavailable

    monkeypatch.setattr(keys, "key_for", refuse)
    assert addressed(owner).address == ""


def test_a_key_is_told_apart_from_the_person_who_made_it(owner: Person) -> None:
    answer = owner.program.get("/v1/files", headers={"X-Forwarded-For": "198.51.100.1"})
    assert answer.status_code == 200
    assert owner.program.delete("/v1/files/file-none").status_code == 404
    owner.openai.files.create(file=("a.jsonl", b'{"prompt": "a", "completion": "b"}\n'), purpose="fine-tune")
    with owner.acting():
        entry = AuditEntry.objects.filter(action="file.upload").latest("id")
    assert entry.actor.startswith("key_")
    assert entry.person == owner.user.pk
    assert entry.address == "127.0.0.1"
    assert entry.request_id.startswith("req-")


def test_what_a_task_does_is_the_systems_and_names_its_message(owner: Person) -> None:
    @tenant_task()
    def do_something() -> None:
        record("task.act", "thing")

    headers = {HEADER: str(owner.organization.pk)}
    do_something.apply(headers=headers, task_id="a-message", throw=True)
    with owner.acting():
        entry = AuditEntry.objects.get(action="task.act")
    assert (entry.actor, entry.request_id) == ("system", "a-message")


def test_a_refusal_is_recorded_though_the_act_is_rolled_back(teammate: Person) -> None:
    answer = teammate.browser.post("/api/v1/api-keys", {"name": "mine"}, content_type="application/json")
    assert answer.status_code == 403
    with teammate.acting():
        entry = AuditEntry.objects.filter(outcome="denied").latest("id")
    assert entry.action == "key.write"
    assert entry.actor == teammate.user.public_id


def test_a_stranger_does_not_see_the_entries(owner: Person, stranger: Person) -> None:
    with stranger.acting():
        assert not AuditEntry.objects.filter(organization_id=owner.organization.pk).exists()
