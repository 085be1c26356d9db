"""The audit log: in the act's transaction, and never changed."""

import pytest
from django.db import ProgrammingError

from kernel.audit.log import Actor, acting_as, record
from kernel.audit.models import AuditEntry
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


def test_entries_cannot_be_changed_or_removed_by_the_application(owner: Person) -> None:
    with pytest.raises(ProgrammingError, match="append-only"), owner.acting():
        AuditEntry.objects.update(actor="somebody else")
    with pytest.raises(ProgrammingError, match="append-only"), owner.acting():
        AuditEntry.objects.all().delete()


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
