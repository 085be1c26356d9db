"""Webhooks over REST: made, tried, repeated, rotated, and nobody else's."""

import json
import threading
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import pytest
from django.db import connection
from django.test import override_settings
from standardwebhooks import Webhook

from config.celery import app
from kernel.audit.models import AuditEntry
from kernel.egress import destinations
from kernel.events import dispatcher
from kernel.webhooks import execution, services
from kernel.webhooks.models import WebhookEndpoint
from tenants.access.permissions import Role
from tests.cast import Person, new_person
from tests.kernel.egress.conftest import Names, Script, Server, names, serve
from tests.kernel.webhooks.house import Customer

__all__ = ["names", "serve"]

ADDRESS = "/api/v1/webhooks"
JSON = "application/json"


@pytest.fixture
def hook(serve: Callable[[Script], Server], names: Names) -> Customer:
    """A customer's server, which answers."""
    app.loader.import_default_modules()
    customer = Customer()
    customer.url = serve(customer.answer).url("/in")
    return customer


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names lead to a public address, and nothing is sent there."""
    monkeypatch.setattr(destinations, "look_up", lambda host, port: ["93.184.216.34"])


def make(person: Person, url: str, *events: str, **more: Any) -> Any:
    body = {"url": url, "events": list(events or ("tenants.file.*",)), **more}
    return person.browser.post(ADDRESS, body, JSON)


def made(person: Person, url: str, *events: str) -> dict[str, Any]:
    answer = make(person, url, *events)
    assert answer.status_code == 201, answer.content
    body: dict[str, Any] = answer.json()
    return body


def deliveries(person: Person, webhook: dict[str, Any], query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = person.browser.get(f"{ADDRESS}/{webhook['id']}/deliveries{query}").json()[
        "data"
    ]
    return found


def test_a_webhook_is_made_shown_changed_and_deleted(owner: Person, away: None) -> None:
    webhook = made(owner, "https://hook.example/in?token=t", "training.*", "tenants.file.validated.v1")
    assert webhook["secret"].startswith("whsec_")
    assert webhook["events"] == ["tenants.file.validated.v1", "training.*"]
    address = f"{ADDRESS}/{webhook['id']}"
    shown = owner.browser.get(address).json()
    assert "secret" not in shown
    assert shown == {name: value for name, value in webhook.items() if name != "secret"}
    assert owner.browser.get(ADDRESS).json()["data"] == [shown]
    changed = owner.browser.patch(address, {"enabled": False, "events": ["*"]}, JSON).json()
    assert (changed["enabled"], changed["disabled_because"], changed["events"]) == (False, "asked", ["*"])
    assert owner.browser.patch(address, {"enabled": True}, JSON).json()["disabled_because"] is None
    assert owner.browser.delete(address).status_code == 204
    assert owner.browser.get(address).status_code == 404
    with owner.acting():
        actions = list(AuditEntry.objects.filter(target=webhook["id"]).order_by("pk"))
    assert [entry.action for entry in actions] == [
        "webhook.create",
        "webhook.update",
        "webhook.update",
        "webhook.delete",
    ]
    assert actions[1].details["before"]["enabled"] is True
    assert actions[1].details["after"]["enabled"] is False
    assert "token" not in str([entry.details for entry in actions])


def test_a_test_message_arrives_and_is_listed(owner: Person, hook: Customer) -> None:
    webhook = made(owner, hook.url)
    tested = owner.browser.post(f"{ADDRESS}/{webhook['id']}/test")
    assert (tested.status_code, tested.json()["state"]) == (202, "waiting")
    execution.send_due()
    [delivery] = deliveries(owner, webhook, "?state=delivered&limit=5")
    assert (delivery["id"], delivery["status_code"], delivery["attempts"]) == (tested.json()["id"], 204, 1)
    assert deliveries(owner, webhook, "?state=failed") == []
    [(headers, body)] = hook.received
    told = Webhook(webhook["secret"]).verify(body, headers)
    assert told["type"] == "kernel.webhook.tested.v1"
    assert told["data"] == {"object": "webhook", "id": webhook["id"]}


def test_what_happens_to_a_file_is_told_and_can_be_told_again(owner: Person, hook: Customer) -> None:
    webhook = made(owner, hook.url)
    file = owner.openai.files.create(file=("rows.jsonl", b'{"a": 1}\n'), purpose="fine-tune")
    dispatcher.deliver_waiting()
    execution.send_due()
    [delivery] = deliveries(owner, webhook)
    assert delivery["event"] == "tenants.file.uploaded.v1"
    again = owner.browser.post(f"{ADDRESS}/{webhook['id']}/deliveries/{delivery['id']}/replay")
    assert (again.status_code, again.json()["state"]) == (202, "waiting")
    execution.send_due()
    assert [json.loads(body)["data"]["id"] for _, body in hook.received] == [file.id] * 2
    assert deliveries(owner, webhook)[0]["message_id"] == delivery["message_id"]


def test_a_rotated_secret_is_shown_once(owner: Person, away: None) -> None:
    webhook = made(owner, "https://hook.example/")
    rotated = owner.browser.post(
        f"{ADDRESS}/{webhook['id']}/rotate-secret", {"overlap_seconds": 60}, JSON
    ).json()
    assert rotated["secret"] not in {webhook["secret"], None}
    assert rotated["previous_secret_until"] is not None
    assert "secret" not in owner.browser.get(f"{ADDRESS}/{webhook['id']}").json()


def test_a_disabled_webhook_is_neither_tested_nor_replayed(owner: Person, hook: Customer) -> None:
    webhook = made(owner, hook.url)
    one = f"{ADDRESS}/{webhook['id']}"
    delivery = owner.browser.post(f"{one}/test").json()["id"]
    owner.browser.patch(one, {"enabled": False}, JSON)
    for address in (f"{one}/test", f"{one}/deliveries/{delivery}/replay"):
        refused = owner.browser.post(address)
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "webhook_disabled")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://hook.example/", "address_refused"),
        ("https://user:password@hook.example/", "address_refused"),
        ("https://hook.example:6379/", "address_refused"),
        ("https://127.0.0.1/", "address_refused"),
        ("https://2130706433/", "address_refused"),
        ("https://[::ffff:169.254.169.254]/", "address_refused"),
        ("https://metadata.google.internal/", "address_unresolved"),
        ("ftp://hook.example/", "address_refused"),
        ("javascript:alert(1)", "address_refused"),
    ],
)
def test_an_address_that_may_not_be_asked_is_refused_at_once(
    owner: Person, url: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = destinations.look_up

    def no_network(host: str, port: int) -> list[str]:
        if "google" in host:
            raise OSError
        return look_up(host, port)

    monkeypatch.setattr(destinations, "look_up", no_network)
    refused = make(owner, url)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, code)
    assert refused.json()["error"]["param"] == "url"
    assert owner.browser.get(ADDRESS).json()["data"] == []


def test_a_changed_address_is_checked_too(owner: Person, away: None, monkeypatch: pytest.MonkeyPatch) -> None:
    webhook = made(owner, "https://hook.example/")
    monkeypatch.setattr(destinations, "look_up", lambda host, port: ["10.0.0.1"])
    refused = owner.browser.patch(f"{ADDRESS}/{webhook['id']}", {"url": "https://inner.example/"}, JSON)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "address_refused")
    with override_settings(EGRESS_ALLOWED_NETWORKS=[ip_network("10.0.0.0/8")]):
        changed = owner.browser.patch(f"{ADDRESS}/{webhook['id']}", {"url": "https://inner.example/"}, JSON)
    assert changed.json()["url"] == "https://inner.example/"


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"url": "https://hook.example/"}, "events", "invalid_request"),
        ({"url": "https://hook.example/", "events": []}, "events", "invalid_request"),
        ({"url": "https://hook.example/", "events": ["nothing.*"]}, "events", "unknown_event"),
        ({"url": "https://hook.example/", "events": "*"}, "events", "invalid_type"),
        ({"url": 5, "events": ["*"]}, "url", "invalid_type"),
        ({"url": "https://hook.example/", "events": ["*"], "secret": "x"}, "secret", "unknown_parameter"),
        ({"url": "https://hook.example/", "events": ["*"], "enabled": "yes"}, "enabled", "invalid_type"),
    ],
)
def test_a_bad_wish_names_the_parameter(
    owner: Person, away: None, body: dict[str, Any], param: str, code: str
) -> None:
    refused = owner.browser.post(ADDRESS, body, JSON)
    assert refused.status_code == 400
    assert (refused.json()["error"]["param"], refused.json()["error"]["code"]) == (param, code)


def test_a_change_must_change_something(owner: Person, away: None) -> None:
    webhook = made(owner, "https://hook.example/")
    assert owner.browser.patch(f"{ADDRESS}/{webhook['id']}", {}, JSON).status_code == 400


def test_an_organization_has_a_bounded_number_of_webhooks_even_in_parallel(
    owner: Person, away: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "MAX_ENDPOINTS", 3)
    statuses = []

    def one() -> None:
        statuses.append(make(owner, "https://hook.example/").status_code)
        connection.close()

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201] * 3 + [409] * 5
    with owner.acting():
        assert WebhookEndpoint.objects.count() == 3


def test_a_webhook_made_twice_with_one_idempotency_key_is_one(owner: Person, away: None) -> None:
    body = {"url": "https://hook.example/", "events": ["*"]}
    headers = {"Idempotency-Key": "webhook"}
    first, second = (owner.browser.post(ADDRESS, body, JSON, headers=headers) for _ in range(2))
    assert first.json()["secret"] == second.json()["secret"]
    assert len(owner.browser.get(ADDRESS).json()["data"]) == 1


def test_a_stranger_sees_nothing_of_a_webhook(owner: Person, stranger: Person, hook: Customer) -> None:
    webhook = made(owner, hook.url)
    one = f"{ADDRESS}/{webhook['id']}"
    delivery = owner.browser.post(f"{one}/test").json()["id"]
    routes: list[tuple[str, str, int, dict[str, Any] | None]] = [
        ("get", one, 200, None),
        ("get", f"{one}/deliveries", 200, None),
        ("patch", one, 200, {"enabled": True}),
        ("post", f"{one}/test", 202, None),
        ("post", f"{one}/rotate-secret", 200, {}),
        ("post", f"{one}/deliveries/{delivery}/replay", 202, None),
    ]
    for method, address, status, body in routes:
        send = {"data": body, "content_type": JSON} if body is not None else {}
        assert getattr(owner.browser, method)(address, **send).status_code == status, address
        assert getattr(stranger.browser, method)(address, **send).status_code == 404, address
    assert stranger.browser.get(ADDRESS).json()["data"] == []
    assert stranger.browser.delete(one).status_code == 404
    other = made(stranger, hook.url)
    crossed = f"{ADDRESS}/{other['id']}/deliveries/{delivery}/replay"
    assert stranger.browser.post(crossed).status_code == 404


def test_who_may_read_may_not_write_and_a_worker_may_neither(owner: Person, away: None) -> None:
    webhook = made(owner, "https://hook.example/")
    auditor = new_person(Role.AUDITOR, joining=owner)
    worker = new_person(Role.MODEL_TRAINER, joining=owner)
    assert auditor.browser.get(f"{ADDRESS}/{webhook['id']}").status_code == 200
    assert make(auditor, "https://hook.example/").status_code == 403
    assert auditor.browser.post(f"{ADDRESS}/{webhook['id']}/test").status_code == 403
    assert worker.browser.get(ADDRESS).status_code == 403
    assert owner.program.get(ADDRESS).status_code == 403


def test_the_events_that_can_be_told_are_listed(owner: Person) -> None:
    listed = owner.browser.get("/api/v1/webhook-events").json()["data"]
    assert {"training.job.updated.v1", "tenants.file.validated.v1"} <= {each["name"] for each in listed}
    assert all(each["description"] for each in listed)
