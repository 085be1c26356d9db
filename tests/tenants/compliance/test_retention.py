"""Retention: kinds are kept for their days, holds keep longer, a store that is away stops one kind only."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from inference.chat.models import Conversation, Message
from inference.usage.models import UsageRecord
from kernel.audit.models import AuditEntry
from kernel.events.models import OutboxEvent
from kernel.storage import objects
from kernel.storage.errors import StorageUnavailable
from kernel.webhooks import services as webhooks
from kernel.webhooks.models import WebhookDelivery
from tenants.compliance.execution import retaining
from tenants.compliance.models import RetentionRun
from tenants.datasets import execution
from tenants.datasets.models import File
from tests.cast import Person
from tests.kernel.webhooks.house import subscribe
from tests.tenants.administration.offices import call, refused
from tests.tenants.compliance.house import HOLDS, RETENTION, bring, file_of, row, say

RUNS = f"{RETENTION}/runs"


def choose(person: Person, kind: str, days: int | None) -> Any:
    return call(person, "put", RETENTION, {"kind": kind, "days": days})


def rule(person: Person, kind: str) -> dict[str, Any]:
    shown = call(person, "get", RETENTION).json()["data"]
    found: dict[str, Any] = next(one for one in shown if one["kind"] == kind)
    return found


def outcome(person: Person, kind: str) -> dict[str, Any]:
    """Enforce, and what became of the kind."""
    run = retaining.enforce(person.organization.pk)
    found: dict[str, Any] = next(one for one in run.report if one["kind"] == kind)
    return found


def age(person: Person, model: Any, column: str, days: int) -> None:
    with person.acting():
        model.objects.update(**{column: Now() - timedelta(days=days)})


def test_an_organization_chooses_within_the_platforms_bounds(owner: Person) -> None:
    before = rule(owner, "conversations")
    assert (before["days"], before["is_own"]) == (None, False)
    assert choose(owner, "conversations", 30).json()["days"] == 30
    assert rule(owner, "conversations")["is_own"]
    assert refused(choose(owner, "usage records", 10), 400, "retention_out_of_bounds")
    assert refused(choose(owner, "events", None), 400, "retention_out_of_bounds")
    assert refused(choose(owner, "keys", 10), 400, "unknown_kind")
    assert call(owner, "delete", RETENTION, {"kind": "conversations"}).json()["days"] is None
    with owner.acting():
        assert AuditEntry.objects.filter(action="retention.update").count() == 2


def test_what_openai_calls_data_retention_is_the_same_here(owner: Person) -> None:
    kept = {"retention_type": "enhanced_zero_data_retention"}
    assert call(owner, "post", "/v1/organization/data_retention", kept).status_code == 200
    assert call(owner, "get", RETENTION).json()["requests"] == "enhanced_zero_data_retention"


def test_old_conversations_go_with_their_messages_and_new_ones_stay(owner: Person) -> None:
    say(owner, "Old", "Older")
    age(owner, Conversation, "updated_at", 31)
    young = say(owner, "New")
    choose(owner, "conversations", 30)
    assert outcome(owner, "conversations")["removed"] == 1
    with owner.acting():
        assert [c.pk for c in Conversation.objects.all()] == [young.pk]
        assert Message.objects.count() == 1
    assert outcome(owner, "conversations")["removed"] == 0


def test_files_go_as_if_a_person_deleted_them_and_their_bytes_too(owner: Person) -> None:
    file = bring(owner, row("A question") * 12)
    age(owner, File, "created_at", 400)
    choose(owner, "files", 365)
    assert outcome(owner, "files")["removed"] == 1
    assert file_of(owner, file.pk).state == "deleted"
    execution.remove_bytes(owner.organization.pk, file.pk)
    assert not objects.exists(owner.organization.pk, file.object_key)
    assert outcome(owner, "files")["removed"] == 0


def test_ended_deliveries_and_told_events_go_and_waiting_ones_do_not(owner: Person) -> None:
    webhook = subscribe(owner, "https://customer.example/hook")
    with owner.acting():
        for _ in range(2):
            webhooks.send_test(webhook)
        first = WebhookDelivery.objects.order_by("pk")[0]
        WebhookDelivery.objects.filter(pk=first.pk).update(finished_at=Now() - timedelta(days=15))
        count = OutboxEvent.objects.count()
        told = OutboxEvent.objects.order_by("sequence")[0]
        OutboxEvent.objects.filter(pk=told.pk).update(dispatched_at=Now() - timedelta(days=31))
    retaining.enforce(owner.organization.pk)
    with owner.acting():
        assert [d.finished_at for d in WebhookDelivery.objects.all()] == [None]
        assert OutboxEvent.objects.count() >= count - 1
        assert not OutboxEvent.objects.filter(pk=told.pk).exists()


@pytest.mark.parametrize("subject", ["organization", "person"])
def test_a_legal_hold_keeps_what_is_over_and_the_report_says_so(owner: Person, subject: str) -> None:
    say(owner, "Old")
    age(owner, Conversation, "updated_at", 31)
    choose(owner, "conversations", 30)
    held = {"subject": subject, "name": "Case 14", "reason": "A court asked."}
    if subject == "person":
        held["subject_id"] = owner.user.public_id
    hold = call(owner, "post", HOLDS, held).json()["id"]
    found = outcome(owner, "conversations")
    assert (found["removed"], found["held_back"]) == (0, {"legal hold": 1})
    call(owner, "post", f"{HOLDS}/{hold}/lift", {"reason": "It is over."})
    assert outcome(owner, "conversations")["removed"] == 1


def test_a_file_on_hold_is_kept_and_others_go(owner: Person) -> None:
    kept, gone = bring(owner, row("a") * 12), bring(owner, row("b") * 12)
    age(owner, File, "created_at", 400)
    choose(owner, "files", 365)
    held = {"subject": "file", "subject_id": kept.public_id, "name": "Case 15", "reason": "A court asked."}
    assert call(owner, "post", HOLDS, held).status_code == 201
    found = outcome(owner, "files")
    assert (found["removed"], found["held_back"]) == (1, {"legal hold": 1})
    assert file_of(owner, gone.pk).deleted_at is not None
    assert file_of(owner, kept.pk).deleted_at is None


def test_an_organization_on_hold_is_not_closed(owner: Person) -> None:
    held = {"subject": "organization", "name": "Case 16", "reason": "A court asked."}
    call(owner, "post", HOLDS, held)
    answer = call(owner, "post", "/api/v1/organization/closing", {"name": owner.organization.name})
    assert refused(answer, 409, "legal_hold")
    assert "Case 16" in answer.json()["error"]["message"]


def test_a_store_that_is_away_stops_its_kind_only_and_the_next_day_goes_on(
    owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported = call(owner, "post", "/api/v1/compliance/exports", {}).json()["id"]
    say(owner, "Old")
    age(owner, Conversation, "updated_at", 31)
    choose(owner, "conversations", 30)
    with owner.acting(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE compliance_export SET finished_at = now() - interval '91 days', state = 'ready', "
            "object_key = %s",
            [f"organizations/{owner.organization.pk}/exports/{exported}"],
        )

    def away(*_: Any) -> None:
        raise StorageUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(objects, "delete", away)
        run = retaining.enforce(owner.organization.pk)
    report = {one["kind"]: one for one in run.report}
    assert "object store" in report["exports"]["fault"]
    assert report["exports"]["removed"] == 0
    assert report["conversations"]["removed"] == 1
    assert outcome(owner, "exports")["removed"] == 1


def test_retention_of_everybody_leaves_a_report_that_can_be_read(owner: Person, stranger: Person) -> None:
    say(stranger, "Not the owner's")
    age(stranger, Conversation, "updated_at", 400)
    choose(owner, "conversations", 30)
    assert retaining.enforce_everywhere() >= 2
    [run] = call(owner, "get", RUNS).json()["data"]
    assert run["finished_at"]
    assert {one["kind"] for one in run["report"]} >= {"conversations", "events", "webhook deliveries"}
    with stranger.acting():
        assert Conversation.objects.count() == 1
        assert RetentionRun.objects.count() == 1


def test_the_bounds_of_usage_are_long_enough_for_bills(owner: Person) -> None:
    assert choose(owner, "usage records", 90).status_code == 200
    assert outcome(owner, "usage records")["removed"] == 0
    assert UsageRecord.holding.kept is not None
