"""The outbox: what happened is told if and only if it happened."""

import json
from typing import Any, cast
from uuid import UUID

import pytest
import redis
from django.conf import settings

from config.celery import app
from kernel.events import dispatcher, subscribers
from kernel.events.models import OutboxEvent
from kernel.events.outbox import Happening, emit
from kernel.ids import uuid7
from kernel.tenancy.scope import NoTenant
from tests.cast import Person


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What a subscriber of `test.thing.happened.v1` is sent: (organization in the header, message)."""
    sent: list[tuple[str, dict[str, Any]]] = []

    class Listener:
        def apply_async(
            self, *, args: tuple[Any, ...], headers: dict[str, str], queue: str, retry: bool
        ) -> None:
            sent.append((headers["organization_id"], args[0]))

    wish = subscribers.Subscription(cast("Any", Listener()), "default")
    monkeypatch.setitem(subscribers._subscriptions, "test.thing.happened.v1", [wish])
    return sent


def happening(number: int = 0) -> Happening:
    return Happening("test.thing.happened.v1", uuid7(), payload={"number": number})


def test_an_event_reaches_its_subscriber_with_its_organization(owner: Person, heard: list[Any]) -> None:
    with owner.acting():
        emit(happening(7))
    dispatcher.deliver_waiting()
    [(organization, message)] = heard
    assert organization == str(owner.organization.pk)
    assert message["payload"] == {"number": 7}


def test_what_is_rolled_back_is_never_told(owner: Person, heard: list[Any]) -> None:
    def fail_midway() -> None:
        with owner.acting():
            emit(happening())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_midway()
    dispatcher.deliver_waiting()
    assert heard == []


def test_events_are_told_in_order_and_once(owner: Person, heard: list[Any]) -> None:
    for number in range(5):
        with owner.acting():
            emit(happening(number))
    dispatcher.deliver_waiting()
    dispatcher.deliver_waiting()
    assert [message["payload"]["number"] for _, message in heard] == [0, 1, 2, 3, 4]


def test_a_backlog_is_told_to_its_end(
    owner: Person, heard: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "BATCH", 3)
    for number in range(10):
        with owner.acting():
            emit(happening(number))
    dispatcher.deliver_waiting()
    assert [message["payload"]["number"] for _, message in heard] == list(range(10))


def test_a_broker_that_is_away_loses_nothing(
    owner: Person, heard: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatcher.deliver_waiting()
    with owner.acting():
        emit(happening(1))

    class Away:
        def apply_async(self, **_: Any) -> None:
            raise ConnectionError

    wish = subscribers.Subscription(cast("Any", Away()), "default")
    monkeypatch.setitem(subscribers._subscriptions, "test.thing.happened.v1", [wish])
    with pytest.raises(ConnectionError):
        dispatcher.deliver_waiting()
    monkeypatch.undo()
    with owner.acting():
        assert OutboxEvent.objects.filter(name="test.thing.happened.v1", dispatched_at=None).count() == 1
    dispatcher.deliver_waiting()


def test_an_event_needs_an_organization(stores: Any) -> None:
    with pytest.raises(NoTenant):
        emit(happening())


def test_a_subscriber_is_a_task_whose_organization_travels_in_the_header(owner: Person) -> None:
    app.loader.import_default_modules()
    [wish] = subscribers.subscriptions_to("tenants.file.uploaded.v1")
    client = redis.Redis.from_url(settings.VALKEY_URL)
    client.delete("lw:celery:data")
    headers = {"organization_id": str(owner.organization.pk)}
    wish.task.apply_async(args=[{"id": "x"}], headers=headers, queue=wish.queue)
    raw = client.lpop("lw:celery:data")
    assert isinstance(raw, bytes)
    assert json.loads(raw)["headers"]["organization_id"] == str(owner.organization.pk)
    assert wish.task.name in app.tasks


def test_a_subscriber_is_called_again_after_the_faults_it_names_for_the_same_organization(
    owner: Person,
) -> None:
    called: list[UUID] = []

    def send(event: subscribers.Event, *, organization_id: UUID) -> None:
        called.append(organization_id)
        if len(called) < 3:
            raise ConnectionRefusedError

    wish = subscribers.subscriber(holds_scope=False, tried_again_after=(OSError,))(send)
    message = {
        "id": str(uuid7()),
        "name": "x",
        "aggregate_id": str(uuid7()),
        "project_id": None,
        "payload": {},
    }
    done = wish.apply(args=(message,), headers={"organization_id": str(owner.organization.pk)})
    assert done.successful()
    assert called == [owner.organization.pk] * 3
