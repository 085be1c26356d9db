"""No organization stays on a connection that goes back to the pool, whatever failed half-way on it."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import IntegrityError, OperationalError, connection, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import AsyncClient, override_settings
from django.urls import path

from kernel.tenancy.scope import NoTenant, across_tenants, acting_for, current_scope
from kernel.tenancy.tasks import HEADER, tenant_task
from tenants.access.services import keys
from tenants.organizations.models import Project
from tests.cast import Person

CLEAN = ("", "loomworks_app")


class Midway(RuntimeError):
    """What goes wrong half-way."""


def left_on_connection() -> tuple[str, str]:
    """The organization and the role that the connection holds now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('app.organization_id', true), current_user")
        organization, role = cursor.fetchone()
    return organization or "", role


def scope_is_open() -> bool:
    with suppress(NoTenant):
        current_scope()
        return True
    return False


def fail_in_python(organization_id: UUID) -> None:
    with acting_for(organization_id):
        Project.objects.create(name="Half of it")
        raise Midway


def fail_in_the_database(organization_id: UUID) -> None:
    with acting_for(organization_id):
        Project.objects.create(name="Default project")


def fail_nested(organization_id: UUID) -> None:
    with acting_for(organization_id), across_tenants():
        raise Midway


def fail_with_the_connection(organization_id: UUID) -> None:
    with acting_for(organization_id), connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def fail_at_commit(organization_id: UUID) -> None:
    with acting_for(organization_id):
        transaction.on_commit(_raise)


def _raise() -> None:
    raise Midway


FAILURES: list[Callable[[UUID], None]] = [
    fail_in_python,
    fail_in_the_database,
    fail_nested,
    fail_with_the_connection,
    fail_at_commit,
]
FAULTS = (Midway, IntegrityError, OperationalError)


@pytest.mark.parametrize("fail", FAILURES, ids=lambda fail: fail.__name__)
def test_the_pool_gets_a_clean_connection_back(owner: Person, fail: Callable[[UUID], None]) -> None:
    with pytest.raises(FAULTS):
        fail(owner.organization.pk)
    assert not scope_is_open()
    connection.close()
    assert left_on_connection() == CLEAN
    assert not Project._base_manager.exists()


def test_many_threads_on_one_pool_never_meet_each_others_organization(
    owner: Person, stranger: Person
) -> None:
    found: list[Any] = []

    def work(number: int) -> None:
        person = (owner, stranger)[number % 2]
        for turn in range(6):
            with suppress(*FAULTS):
                FAILURES[(number + turn) % 3](person.organization.pk)
            found.append(left_on_connection())
            with person.acting():
                found.append(set(Project.objects.values_list("organization_id", flat=True)))
            connection.close()
            found.append(left_on_connection())
            connection.close()

    threads = [threading.Thread(target=work, args=[number]) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = [each for each in found if isinstance(each, set)]
    assert len(seen) == 12 * 6
    assert all(each in ({owner.organization.pk}, {stranger.organization.pk}) for each in seen)
    assert {each for each in found if isinstance(each, tuple)} == {CLEAN}


async def failing_view(request: HttpRequest) -> HttpResponse:
    failure = FAILURES[int(request.GET["number"])]
    await sync_to_async(failure)(UUID(request.GET["organization"]))
    raise AssertionError


async def looking_view(request: HttpRequest) -> HttpResponse:
    left = await sync_to_async(left_on_connection)()
    return JsonResponse({"left": left, "open": scope_is_open() or await sync_to_async(scope_is_open)()})


urlpatterns = [path("fail", failing_view), path("look", looking_view)]


async def test_an_asynchronous_view_that_fails_leaves_nothing_to_the_next_one(owner: Person) -> None:
    client = AsyncClient(raise_request_exception=False)
    with override_settings(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["testserver"]):
        for number in range(len(FAILURES)):
            failed = await client.get(f"/fail?number={number}&organization={owner.organization.pk}")
            assert failed.status_code == 500
            looked = await client.get("/look")
            assert looked.json() == {"left": list(CLEAN), "open": False}


async def test_asynchronous_work_side_by_side_keeps_to_its_own_organization(
    owner: Person, stranger: Person
) -> None:
    def own_projects(organization_id: UUID, fails: bool) -> set[UUID]:
        with acting_for(organization_id):
            found = set(Project.objects.values_list("organization_id", flat=True))
            if fails:
                raise Midway
            return found

    async def work(person: Person, number: int) -> None:
        with suppress(Midway):
            found = await sync_to_async(own_projects, thread_sensitive=number % 2 == 0)(
                person.organization.pk, number % 3 == 0
            )
            assert found == {person.organization.pk}
        assert not scope_is_open()

    await asyncio.gather(*(work(person, number) for number in range(10) for person in (owner, stranger)))


@tenant_task()
def failing_task(number: int) -> None:
    assert left_on_connection()[0]
    Project.objects.create(name=f"Half of task {number}")
    raise Midway


@tenant_task()
def looking_task() -> None:
    assert set(Project.objects.values_list("organization_id", flat=True)) == {current_scope().organization_id}


def test_a_task_that_fails_leaves_nothing_to_the_next_one(owner: Person, stranger: Person) -> None:
    for person in (owner, stranger):
        failed = failing_task.apply(args=(1,), headers={HEADER: str(person.organization.pk)})
        assert isinstance(failed.result, Midway)
        assert (left_on_connection(), scope_is_open()) == (CLEAN, False)
    assert isinstance(looking_task.apply().result, NoTenant)
    assert looking_task.apply(headers={HEADER: str(stranger.organization.pk)}).successful()
    with owner.acting():
        assert not Project.objects.filter(name__startswith="Half").exists()


class Consumer(AsyncJsonWebsocketConsumer):  # type: ignore[misc]
    """Fails on the database when it is told to, and says what is left there."""

    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        with suppress(*FAULTS):
            await database_sync_to_async(FAILURES[content["number"]])(UUID(content["organization"]))
        left = await database_sync_to_async(left_on_connection)()
        await self.send_json({"left": left, "open": scope_is_open()})


async def test_a_socket_that_fails_leaves_nothing_to_the_next_frame_or_socket(
    owner: Person, stranger: Person
) -> None:
    communicate: Any = ApplicationCommunicator
    sockets = [communicate(Consumer.as_asgi(), {"type": "websocket"}) for _ in range(2)]
    for socket in sockets:
        await socket.send_input({"type": "websocket.connect"})
        assert (await socket.receive_output())["type"] == "websocket.accept"
    for number in range(len(FAILURES)):
        for socket, person in zip(sockets, (owner, stranger), strict=True):
            frame = json.dumps({"number": number, "organization": str(person.organization.pk)})
            await socket.send_input({"type": "websocket.receive", "text": frame})
            heard = await socket.receive_output(timeout=10)
            assert json.loads(heard["text"]) == {"left": list(CLEAN), "open": False}
    for socket in sockets:
        await socket.send_input({"type": "websocket.disconnect", "code": 1000})
        await socket.wait()


class Failing(BaseCommand):
    """A command that fails half-way."""

    def __init__(self, fail: Callable[[UUID], None], organization_id: UUID) -> None:
        super().__init__()
        self.fail, self.organization_id = fail, organization_id

    def handle(self, *args: Any, **options: Any) -> None:
        self.fail(self.organization_id)


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with patch("config.management.commands.create_organization._password", lambda: "correct horse battery"):
        yield


@pytest.mark.parametrize("fail", FAILURES, ids=lambda fail: fail.__name__)
def test_a_command_that_fails_leaves_nothing_to_the_next_one(
    owner: Person, fail: Callable[[UUID], None]
) -> None:
    with pytest.raises(FAULTS):
        call_command(Failing(fail, owner.organization.pk))
    connection.close_if_unusable_or_obsolete()
    assert (left_on_connection(), scope_is_open()) == (CLEAN, False)


def test_an_organization_whose_founding_fails_leaves_nothing_on_the_connection(
    owner: Person, password: None
) -> None:
    with (
        patch.object(keys, "make_api_key", side_effect=Midway),
        pytest.raises(Midway),
    ):
        call_command("create_organization", "Half founded", f"half-{owner.user.email}")
    assert (left_on_connection(), scope_is_open()) == (CLEAN, False)
