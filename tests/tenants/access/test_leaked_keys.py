"""A secret found in public: reported by anybody, ended at once, and its owner told."""

import secrets as randomness
from collections.abc import Iterator
from typing import Any

import pytest
from django.core import mail
from django.test import Client, override_settings

from kernel.audit.models import AuditEntry
from kernel.events.models import OutboxEvent
from kernel.events.subscribers import subscriptions_to
from kernel.ids import uuid7
from kernel.tenancy.tasks import HEADER
from tenants.access import secrets
from tenants.access import tasks as _tasks  # noqa: F401 - makes the subscriber known
from tenants.access.services import leaks
from tests.cast import HOST, Person
from tests.tenants.access.keyrings import JSON, answer_to, made
from tests.tenants.access.test_key_rotation import rotated

RECEIPT = {"object": "leak_report", "received": True}
WHERE = "https://code.example/somebody/repository/settings.py"


@pytest.fixture(autouse=True)
def mailbox() -> Iterator[list[Any]]:
    with override_settings(EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend"):
        mail.outbox = []
        yield mail.outbox


def somewhere() -> str:
    """An address of a network that asked nothing yet."""
    return f"2001:db8:{randomness.randbelow(65536):x}:{randomness.randbelow(65536):x}::1"


def report(secret: Any, *, address: str = "", **body: Any) -> Any:
    passer_by = Client(SERVER_NAME=HOST, REMOTE_ADDR=address or somewhere())
    return passer_by.post("/api/v1/leaked-keys", {"key": secret, **body}, content_type=JSON)


def deliver(person: Person) -> None:
    """Do what a worker does for the leaks that were told."""
    with person.acting():
        told = list(OutboxEvent.objects.filter(name=leaks.LEAKED))
    for event in told:
        message = {
            "id": str(uuid7()),
            "name": event.name,
            "aggregate_id": str(event.aggregate_id),
            "project_id": None,
            "payload": event.payload,
        }
        for wish in subscriptions_to(event.name):
            wish.task.apply(args=(message,), headers={HEADER: str(person.organization.pk)}, throw=True)


def test_a_reported_key_ends_and_its_owner_hears_of_it(owner: Person, mailbox: list[Any]) -> None:
    key = made(owner, name="Production")
    answer = report(key["secret"], url=WHERE)
    assert (answer.status_code, answer.json()) == (202, RECEIPT)
    assert answer_to(key["secret"]) == (401, "invalid_api_key")
    assert answer_to(owner.secret) == (200, None)
    with owner.acting():
        entries = AuditEntry.objects.filter(actor=leaks.REPORTER).order_by("pk")
        assert [(entry.action, entry.target) for entry in entries] == [
            ("key.revoke", key["id"]),
            ("key.leak", key["id"]),
        ]
        assert entries[1].details["where"] == WHERE
        [event] = OutboxEvent.objects.filter(name=leaks.LEAKED)
    assert key["secret"] not in str([event.payload, *(entry.details for entry in entries)])
    deliver(owner)
    [letter] = mailbox
    assert letter.to == [owner.user.email]
    assert "Production" in letter.body
    assert "revoked at once" in letter.body
    assert key["secret"] not in letter.body
    assert WHERE not in letter.body


def test_the_answer_is_the_same_whether_or_not_there_is_such_a_key(owner: Person) -> None:
    key = made(owner)
    answers = [report(key["secret"]), report(key["secret"]), report(secrets.new_secret()), report("lw_x")]
    assert {answer.status_code for answer in answers} == {202}
    assert [answer.json() for answer in answers] == [RECEIPT] * 4


def test_a_leaked_secret_that_is_being_rotated_out_ends_and_the_new_one_goes_on(
    owner: Person, mailbox: list[Any]
) -> None:
    key = made(owner)
    new = rotated(owner, key["id"], overlap_seconds=600)
    report(key["secret"])
    assert answer_to(key["secret"]) == (401, "invalid_api_key")
    assert answer_to(str(new["secret"])) == (200, None)
    deliver(owner)
    [letter] = mailbox
    assert "previous secret" in letter.body


@pytest.mark.parametrize("body", [{}, {"key": 5}, {"key": "x" * 201}, {"key": "x", "colour": "red"}])
def test_a_report_that_makes_no_sense_is_refused(owner: Person, body: dict[str, Any]) -> None:
    passer_by = Client(SERVER_NAME=HOST, REMOTE_ADDR=somewhere())
    answer = passer_by.post("/api/v1/leaked-keys", body, content_type=JSON)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


def test_one_network_cannot_report_without_end(owner: Person) -> None:
    address = somewhere()
    answers = [report("lw_x", address=address) for _ in range(31)]
    assert answers[-1].status_code == 429
    assert answers[-1].json()["error"]["code"] == "rate_limit_exceeded"
    assert int(answers[-1]["Retry-After"]) > 0
    assert report("lw_x").status_code == 202
