"""The control plane's API under generated requests of an owner, while another organization's data exists."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import schemathesis
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core import NOT_SET

from kernel.egress import destinations
from kernel.webhooks import services
from tests.cast import Person

pytestmark = pytest.mark.slow

ADDRESSES = r"^/(api/v1|v1/organization)(/|$)"
EXAMPLES = 6
# They end what the rest of the test stands on.
LEFT_OUT = {("DELETE", "/api/v1/account/sessions")}


@dataclass
class Sender:
    """Sends generated requests as the owner, with own, foreign and generated ids in turn."""

    browser: Client
    own: dict[str, str]
    foreign: dict[str, str]
    secrets: list[str]
    numbers: Iterator[int] = field(default_factory=count)
    faults: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def send(self, case: Any) -> None:
        known = ({}, self.own, self.foreign)[next(self.numbers) % 3]
        path = case.path
        for name, value in (case.path_parameters or {}).items():
            path = path.replace(f"{{{name}}}", quote(str(known.get(name, value)), safe=""))
        query = urlencode(case.query or {}, doseq=True, errors="replace")
        body = b"" if case.body is NOT_SET else json.dumps(case.body, default=str).encode()
        answer = self.browser.generic(case.method, f"{path}?{query}", body, "application/json")
        self.statuses.append(answer.status_code)
        self.judge(f"{case.method} {path}?{query} {body[:300]!r}", answer)

    def judge(self, sent: str, answer: Any) -> None:
        text = b"".join(answer) if answer.streaming else answer.content
        if answer.status_code >= 500:
            self.faults.append(f"{sent}: {answer.status_code}")
        # A refusal may repeat what was asked for, and nothing else.
        shown = [secret for secret in self.secrets if secret.encode() in text and secret not in sent]
        if shown:
            self.faults.append(f"{sent}: shows {shown}")


def ids_of(person: Person) -> dict[str, str]:
    """A person's ids by the names that addresses give them."""
    with person.acting():
        webhook = services.create_webhook(f"https://{person.user.pk.hex}.example/", ["*"]).endpoint
    return {
        "project_id": person.project.public_id,
        "user_id": person.user.public_id,
        "member_id": person.user.public_id,
        "organization_id": person.organization.public_id,
        "webhook_id": webhook.public_id,
    }


def secrets_of(person: Person, known: dict[str, str]) -> list[str]:
    """What nobody else may ever see: ids and names of what a person has."""
    return [
        *known.values(),
        person.organization.pk.hex,
        str(person.organization.pk),
        person.user.pk.hex,
        person.user.email,
        person.organization.name,
    ]


def exercise(operation: Any, sender: Sender) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def run(case: Any) -> None:
        sender.send(case)

    run()


def test_no_generated_request_crashes_or_shows_what_is_anothers(
    owner: Person, stranger: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(host: str, port: int) -> list[str]:
        raise OSError

    monkeypatch.setattr(destinations, "look_up", no_network)
    foreign = ids_of(stranger)
    sender = Sender(owner.browser, ids_of(owner), foreign, secrets_of(stranger, foreign))
    described = json.loads(json.dumps(SchemaGenerator().get_schema(request=None, public=True), default=str))
    schema = schemathesis.openapi.from_dict(described).include(path_regex=ADDRESSES)
    operations = [found.ok() for found in schema.get_all_operations()]
    for operation in operations:
        if (operation.method.upper(), operation.path) in LEFT_OUT:
            continue
        # Whatever the one before it did to the session or the project that is chosen.
        sender.browser = owner.browser
        exercise(operation, sender)
    assert len(operations) > 30
    assert len(sender.statuses) > len(operations)
    assert {status for status in sender.statuses if status < 300}
    assert sender.faults == []
