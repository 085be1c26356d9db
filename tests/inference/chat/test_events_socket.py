"""The events socket: who may know hears of it, nobody else does."""

import json
from typing import Any

from asgiref.sync import sync_to_async

from inference.chat.happenings import UPDATED
from inference.chat.happenings import tell as tell_of_conversation
from inference.chat.services import start_conversation
from kernel.events import dispatcher
from kernel.events.outbox import Happening, emit
from kernel.ids import render, uuid7
from tenants.organizations.models import Project
from tenants.organizations.services.projects import start_project
from tests.cast import Person


def happen(person: Person, resource: str, project: Project | None = None) -> str:
    """Something happens in a project of the person's; answers the id of what it happened to."""
    identifier = render("x", uuid7())
    with person.acting():
        emit(
            Happening(
                name=f"test.{resource}.changed.v1",
                aggregate_id=uuid7(),
                project_id=(project or person.project).pk,
                resource=resource,
                resource_id=identifier,
            )
        )
    return identifier


async def delivered() -> None:
    await sync_to_async(dispatcher.deliver_waiting)()


async def listening(chat: Any, person: Person) -> Any:
    await delivered()
    socket = await (await chat.socket(person, "/ws/events")).open()
    assert await socket.hear() == {"type": "hello"}
    return socket


async def test_an_event_is_told_to_the_organization_and_to_nobody_else(
    owner: Person, teammate: Person, stranger: Person, chat: Any
) -> None:
    windows = [await listening(chat, person) for person in (owner, teammate)]
    outside = await listening(chat, stranger)
    identifier = await sync_to_async(happen)(owner, "fine_tuning.job")
    await delivered()
    for window in windows:
        assert await window.hear() == {
            "type": "event",
            "name": "test.fine_tuning.job.changed.v1",
            "resource": "fine_tuning.job",
            "id": identifier,
            "project_id": owner.project.public_id,
        }
    assert await outside.is_silent()


async def test_a_member_hears_nothing_of_keys_nor_of_projects_closed_to_them(
    owner: Person, teammate: Person, chat: Any
) -> None:
    window = await listening(chat, teammate)
    closed = await sync_to_async(_new_project)(owner)
    await delivered()
    await sync_to_async(happen)(owner, "api_key")
    await sync_to_async(happen)(owner, "deployment", closed)
    await sync_to_async(happen)(owner, "something.unnamed")
    expected = await sync_to_async(happen)(owner, "file")
    await delivered()
    assert (await window.hear())["id"] == expected
    assert await window.is_silent()


async def test_an_owner_hears_of_a_project_that_is_newer_than_the_window(owner: Person, chat: Any) -> None:
    window = await listening(chat, owner)
    project = await sync_to_async(_new_project)(owner)
    expected = await sync_to_async(happen)(owner, "deployment", project)
    await delivered()
    heard = await window.hear()
    assert (heard["id"], heard["project_id"]) == (expected, project.public_id)


async def test_only_its_person_hears_of_a_conversation(
    owner: Person, teammate: Person, deployed: str, chat: Any
) -> None:
    window, other = await listening(chat, owner), await listening(chat, teammate)
    conversation = await chat.begin(owner, deployed)
    await delivered()
    heard = [await window.hear()]
    while heard[-1]["resource"] != "conversation":
        heard.append(await window.hear())
    assert heard[-1]["id"] == conversation
    await sync_to_async(_touch)(teammate, deployed)
    await delivered()
    seen = []
    while not await other.is_silent():
        seen.append(await other.hear())
    assert conversation not in json.dumps(seen)
    assert "conversation" in json.dumps(seen)


def _touch(person: Person, model: str) -> None:
    with person.acting():
        tell_of_conversation(UPDATED, start_conversation(person.principal, model))


def _new_project(person: Person) -> Project:
    with person.acting():
        return start_project(f"Project {uuid7().hex}")
