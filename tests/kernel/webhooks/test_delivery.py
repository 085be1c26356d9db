"""Events reach the servers that customers named: signed, at least once, and nobody waits for a slow one."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection
from django.db.models.functions import Now
from standardwebhooks import Webhook, WebhookVerificationError

from kernel.audit.models import AuditEntry
from kernel.crypto import keys
from kernel.events import dispatcher, followers
from kernel.events.models import OutboxEvent
from kernel.webhooks import execution, leases, services
from kernel.webhooks.models import WebhookDelivery, WebhookEndpoint
from tests.cast import Person
from tests.kernel.egress.conftest import Names, Script, Server
from tests.kernel.webhooks.house import (
    EVENT,
    Customer,
    deliveries,
    endpoint_of,
    happen,
    subscribe,
)


def tell() -> None:
    dispatcher.deliver_waiting()
    execution.send_due()


def make_due(person: Person, **changes: Any) -> None:
    with person.acting():
        WebhookDelivery.objects.update(next_attempt_at=Now(), **changes)


def test_an_organization_whose_key_is_gone_stops_nobody_elses_deliveries(
    owner: Person, stranger: Person, customer: Customer
) -> None:
    keyless = subscribe(stranger, customer.url)
    happen(stranger)
    dispatcher.deliver_waiting()
    keys.destroy_keys(stranger.organization.pk)
    subscribe(owner, customer.url)
    happen(owner)
    tell()
    assert len(customer.received) == 1
    with stranger.acting():
        missed = WebhookDelivery.objects.get(endpoint=keyless)
    assert (missed.attempts, missed.fault, missed.state) == (1, "key_destroyed", "waiting")


def test_an_event_arrives_signed_and_carries_ids_only(owner: Person, customer: Customer) -> None:
    endpoint = subscribe(owner, customer.url)
    happen(owner)
    tell()
    [(headers, body)] = customer.received
    with owner.acting():
        event = OutboxEvent.objects.get(name=EVENT)
        told = Webhook(endpoint.secret).verify(body, headers)
    assert headers["webhook-id"] == f"evt-{event.pk.hex}"
    assert told == {
        "type": EVENT,
        "timestamp": event.created_at.isoformat(),
        "data": {
            "object": "file",
            "id": event.resource_id,
            "project_id": owner.project.public_id,
            "organization_id": owner.organization.public_id,
        },
    }
    [delivery] = deliveries(owner)
    assert (delivery.state, delivery.status_code, delivery.attempts) == ("delivered", 204, 1)
    assert delivery.next_attempt_at is None
    assert delivery.finished_at is not None
    execution.send_due()
    assert len(customer.received) == 1


def test_a_body_that_somebody_changed_does_not_verify(owner: Person, customer: Customer) -> None:
    endpoint = subscribe(owner, customer.url)
    happen(owner)
    tell()
    [(headers, body)] = customer.received
    with owner.acting(), pytest.raises(WebhookVerificationError):
        Webhook(endpoint.secret).verify(body.replace(b"file", b"elif"), headers)


def test_only_wanted_public_events_of_the_own_organization_are_told(
    owner: Person, stranger: Person, customer: Customer
) -> None:
    subscribe(owner, customer.url, "tenants.file.*", "training.job.updated.v1")
    off = subscribe(owner, customer.url)
    with owner.acting():
        services.change_webhook(off, {"enabled": False})
    for name in (EVENT, "tenants.standing.changed.v1", "inference.deployment.ready.v1"):
        happen(owner, name)
    happen(stranger)
    tell()
    assert [delivery.event_name for delivery in deliveries(owner)] == [EVENT]
    assert deliveries(stranger) == []
    assert len(customer.received) == 1


def test_a_delivery_is_written_with_the_mark_of_dispatch_or_not_at_all(
    owner: Person, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe(owner, customer.url)
    dispatcher.deliver_waiting()
    happen(owner)

    def fail(events: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(followers, "_followers", [*followers._followers, fail])
    with pytest.raises(RuntimeError):
        dispatcher.deliver_waiting()
    assert deliveries(owner) == []
    monkeypatch.undo()
    tell()
    assert len(deliveries(owner)) == 1


def test_an_event_dispatched_twice_is_delivered_once(owner: Person, customer: Customer) -> None:
    subscribe(owner, customer.url)
    happen(owner)
    for _ in range(2):
        with owner.acting():
            OutboxEvent.objects.filter(name=EVENT).update(dispatched_at=None)
        tell()
    assert len(customer.received) == len(deliveries(owner)) == 1


def test_a_broker_that_is_away_holds_nothing_up(owner: Person, customer: Customer) -> None:
    subscribe(owner, customer.url)
    dispatcher.deliver_waiting()
    with patch("kernel.webhooks.tasks.send_due.apply_async", side_effect=ConnectionError):
        with owner.acting():
            emitted = OutboxEvent.objects.count()
        happen(owner, "training.job.updated.v1")
        happen(owner)
        tell()
    assert len(customer.received) == 1
    with owner.acting():
        assert OutboxEvent.objects.count() == emitted + 2
        assert not OutboxEvent.objects.filter(dispatched_at=None).exists()


@pytest.mark.parametrize("status", [302, 400, 404, 429, 500, 503])
def test_any_answer_but_success_is_tried_again_later(owner: Person, customer: Customer, status: int) -> None:
    subscribe(owner, customer.url)
    customer.status, customer.headers = status, "Location: /elsewhere\r\n"
    happen(owner)
    tell()
    [delivery] = deliveries(owner)
    assert (delivery.state, delivery.status_code, delivery.fault) == ("waiting", status, "http_status")
    assert endpoint_of(owner).failing_since is not None
    assert len(customer.received) == 1
    customer.status = 200
    make_due(owner)
    execution.send_due()
    assert deliveries(owner)[0].state == "delivered"
    assert endpoint_of(owner).failing_since is None
    assert len({headers["webhook-id"] for headers, _ in customer.received}) == 1


def test_the_pauses_grow_from_seconds_to_a_day_and_then_it_is_given_up(
    owner: Person, customer: Customer
) -> None:
    subscribe(owner, customer.url)
    customer.status = 500
    happen(owner)
    dispatcher.deliver_waiting()
    for pause in execution.BACKOFF_SECONDS:
        before = datetime.now(UTC)
        execution.send_due()
        [delivery] = deliveries(owner)
        assert delivery.next_attempt_at is not None
        wait = (delivery.next_attempt_at - before).total_seconds()
        assert pause <= wait <= pause * (1 + execution.JITTER) + 5
        make_due(owner)
    execution.send_due()
    [delivery] = deliveries(owner)
    assert (delivery.state, delivery.attempts) == ("failed", len(execution.BACKOFF_SECONDS) + 1)
    assert delivery.next_attempt_at is None


def test_a_server_that_is_gone_is_not_asked_again(owner: Person, customer: Customer) -> None:
    subscribe(owner, customer.url)
    customer.status = 410
    happen(owner)
    tell()
    endpoint = endpoint_of(owner)
    assert (endpoint.enabled, endpoint.disabled_because) == (False, "gone")
    assert deliveries(owner)[0].state == "failed"
    with owner.acting():
        assert OutboxEvent.objects.filter(name=execution.DISABLED, aggregate_id=endpoint.pk).count() == 1
        entry = AuditEntry.objects.get(action="webhook.disable")
        assert (entry.target, entry.details["because"]) == (endpoint.public_id, "gone")


def test_five_days_of_failure_disable_a_webhook_and_four_do_not(owner: Person, customer: Customer) -> None:
    subscribe(owner, customer.url)
    other = subscribe(owner, customer.url.replace("/hooks", "/other"), "kernel.webhook.disabled.v1")
    customer.status = 500
    for days, enabled in ((4, True), (6, False)):
        happen(owner)
        dispatcher.deliver_waiting()
        with owner.acting():
            WebhookEndpoint.objects.exclude(pk=other.pk).update(failing_since=Now() - timedelta(days=days))
        execution.send_due()
        with owner.acting():
            found = WebhookEndpoint.objects.exclude(pk=other.pk).get()
        assert found.enabled is enabled
    assert found.disabled_because == "failing"
    customer.status = 200
    tell()
    assert "kernel.webhook.disabled.v1" in {json.loads(body)["type"] for _, body in customer.received}


def test_both_secrets_sign_while_they_overlap_and_then_the_new_one_alone(
    owner: Person, customer: Customer
) -> None:
    endpoint = subscribe(owner, customer.url)
    with owner.acting():
        old = endpoint.secret
        new = services.rotate_secret(endpoint, overlap=timedelta(hours=1)).secret
    happen(owner)
    tell()
    headers, body = customer.received[-1]
    for secret in (old, new):
        assert Webhook(secret).verify(body, headers)
    with owner.acting():
        WebhookEndpoint.objects.update(previous_secret_until=Now() - timedelta(seconds=1))
    happen(owner)
    tell()
    headers, body = customer.received[-1]
    assert Webhook(new).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(body, headers)


def test_a_name_that_leads_inside_since_it_was_checked_is_not_asked(
    owner: Person, customer: Customer, names: Names
) -> None:
    services.check_url(customer.url)
    subscribe(owner, customer.url)
    names.answers["hook.example"] = [["169.254.169.254"]]
    happen(owner)
    tell()
    assert customer.received == []
    [delivery] = deliveries(owner)
    assert (delivery.state, delivery.status_code, delivery.fault) == ("waiting", None, "address_refused")


def test_a_huge_answer_is_not_read(owner: Person, customer: Customer) -> None:
    subscribe(owner, customer.url)
    customer.status, customer.body = 200, b"x" * 20_000_000
    happen(owner)
    tell()
    assert deliveries(owner)[0].state == "delivered"


def test_a_slow_customer_holds_up_nobody_else(
    owner: Person, stranger: Person, customer: Customer, serve: Callable[[Script], Server]
) -> None:
    quick = Customer()
    quick.url = serve(quick.answer).url("/quick")
    subscribe(owner, customer.url)
    subscribe(stranger, quick.url)
    customer.hold.clear()
    for _ in range(20):
        happen(owner)
    for _ in range(5):
        happen(stranger)
    dispatcher.deliver_waiting()

    def send() -> None:
        execution.send_due()
        connection.close()

    sending = threading.Thread(target=send)
    sending.start()
    for _ in range(100):
        if len(quick.received) == 5:
            break
        threading.Event().wait(0.05)
    assert len(quick.received) == 5
    assert customer.received == []
    assert execution.send_due() == 0
    customer.hold.set()
    sending.join(30)
    assert len(customer.received) == 20
    assert customer.most_at_once <= leases.PER_ENDPOINT


def test_one_organization_does_not_get_all_the_couriers_hands(
    owner: Person, stranger: Person, customer: Customer
) -> None:
    for number in range(10):
        subscribe(owner, f"{customer.url}/{number}")
    subscribe(stranger, customer.url)
    for person in (owner, owner, stranger):
        happen(person)
    dispatcher.deliver_waiting()
    leased = [organization for _, organization in leases.lease(1000)]
    assert leased.count(owner.organization.pk) == leases.PER_ORGANIZATION
    assert leased.count(stranger.organization.pk) == 1
    assert owner.organization.pk not in [organization for _, organization in leases.lease(1000)]
    make_due(owner, lease_until=None)
    make_due(stranger, lease_until=None)
    execution.send_due()
    assert len(customer.received) == 21


def test_what_a_dead_courier_held_is_sent_again(owner: Person, customer: Customer) -> None:
    subscribe(owner, customer.url)
    happen(owner)
    dispatcher.deliver_waiting()
    assert owner.organization.pk in [organization for _, organization in leases.lease(1000)]
    execution.send_due()
    assert customer.received == []
    with owner.acting():
        WebhookDelivery.objects.update(lease_until=Now() - timedelta(seconds=1))
    execution.send_due()
    assert len(customer.received) == 1


def test_what_waits_for_a_disabled_webhook_is_sent_once_it_is_enabled(
    owner: Person, customer: Customer
) -> None:
    endpoint = subscribe(owner, customer.url)
    happen(owner)
    dispatcher.deliver_waiting()
    for enabled, received in ((False, 0), (True, 1)):
        with owner.acting():
            services.change_webhook(endpoint, {"enabled": enabled})
        execution.send_due()
        assert len(customer.received) == received


def test_secrets_are_sealed_where_they_lie(owner: Person, customer: Customer) -> None:
    endpoint = subscribe(owner, customer.url)
    with owner.acting():
        services.rotate_secret(endpoint, overlap=timedelta(hours=1))
        found = WebhookEndpoint.objects.get()
        assert found.secret.startswith("whsec_")
        for sealed in (found.sealed_secret, found.sealed_previous_secret):
            assert b"whsec_" not in bytes(sealed)
        entries = list(AuditEntry.objects.filter(target=endpoint.public_id))
        assert {entry.action for entry in entries} == {"webhook.create", "webhook.rotate_secret"}
        assert "whsec_" not in str([entry.details for entry in entries])
