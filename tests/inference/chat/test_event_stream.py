"""An answer as server-sent events: whole, gone on with after a cut, and only while it may be seen."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.core.asgi import get_asgi_application

from inference.chat import event_stream
from inference.chat.models import Conversation
from kernel.audit.models import AuditEntry
from kernel.ids import parse
from tests.cast import Person
from tests.inference.chat.scripted import ask
from tests.inference.gateway.house import served

Event = dict[str, Any]


@pytest.fixture
async def url(stores: Any) -> AsyncIterator[str]:
    """The control plane, served as it is: no other client of ours reads streams as they come."""
    async with served(get_asgi_application()) as url:
        yield url


class Stream:
    """One stream of events, read as it comes."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def hear(self) -> Event | None:
        """The next event: its `id`, its name and its data; None at the end."""
        event: Event = {}
        # Comments that keep the connection alive are no event.
        async with asyncio.timeout(10):
            async for line in self._lines:
                name, _, value = line.partition(": ")
                if name in ("id", "event", "data"):
                    event[name] = json.loads(value) if name == "data" else value
                elif not line and event:
                    return event
        return None

    async def rest(self) -> list[Event]:
        """All that follows, to the end."""
        found = []
        while (event := await self.hear()) is not None:
            found.append(event)
        return found


@asynccontextmanager
async def following(
    url: str, chat: Any, person: Person, conversation: str, message: str, **options: Any
) -> AsyncIterator[Stream]:
    cookies = {"lw_session": await chat.cookie(person)}
    address = f"/api/v1/conversations/{conversation}/messages/{message}/stream"
    async with (
        httpx.AsyncClient(base_url=url, cookies=cookies, timeout=20) as client,
        client.stream("GET", address, **options) as response,
    ):
        yield Stream(response)


async def begun(chat: Any, person: Person, model: str) -> tuple[str, str]:
    """A conversation in which an answer is being written, held back by the gateway; both ids."""
    chat.gateway.held = True
    conversation = await chat.begin(person, model)
    return conversation, await ask(await chat.talk(person, conversation))


def text_of(events: list[Event]) -> str:
    return "".join(event["data"].get("text", "") for event in events)


async def test_an_answer_comes_token_by_token_and_then_as_a_whole(
    owner: Person, deployed: str, chat: Any, url: str
) -> None:
    conversation, message = await begun(chat, owner, deployed)
    words = chat.gateway.words
    async with following(url, chat, owner, conversation, message) as stream:
        assert stream.response.headers["content-type"] == "text/event-stream"
        assert stream.response.headers["cache-control"] == "no-store"
        chat.gateway.let(1)
        first = await stream.hear()
        assert first is not None
        assert (first["id"], first["event"], first["data"]["text"]) == ("1", "token", words[0])
        chat.gateway.let(len(words))
        rest = await stream.rest()
    assert text_of([first, *rest]) == "".join(words)
    assert (rest[-1]["id"], rest[-1]["event"]) == ("over", "message.finished")
    assert rest[-1]["data"]["message"]["content"] == "".join(words)


async def test_whoever_comes_back_gets_what_follows_and_nothing_twice(
    owner: Person, deployed: str, chat: Any, url: str
) -> None:
    conversation, message = await begun(chat, owner, deployed)
    words = chat.gateway.words
    chat.gateway.let(3)
    heard: list[Event | None] = []
    async with following(url, chat, owner, conversation, message) as stream:
        heard += [await stream.hear() for _ in range(2)]
    assert heard[-1] is not None
    seen = {"Last-Event-ID": heard[-1]["id"]}
    async with following(url, chat, owner, conversation, message, headers=seen) as stream:
        chat.gateway.let(len(words))
        rest = await stream.rest()
    assert [event["id"] for event in rest] == [*map(str, range(3, len(words) + 1)), "over"]
    assert text_of(rest) == "".join(words[2:])
    async with following(url, chat, owner, conversation, message, params={"after": "5"}) as stream:
        assert text_of(await stream.rest()) == "".join(words[5:])


async def test_a_browser_that_has_heard_the_end_is_told_to_ask_no_more(
    owner: Person, deployed: str, chat: Any, url: str
) -> None:
    conversation, message = await begun(chat, owner, deployed)
    seen = {"Last-Event-ID": "over"}
    async with following(url, chat, owner, conversation, message, headers=seen) as stream:
        assert stream.response.status_code == 204


async def test_a_failed_answer_tells_its_fault_and_then_how_it_ended(
    owner: Person, deployed: str, chat: Any, url: str
) -> None:
    chat.gateway.fault = RuntimeError("inside")
    conversation, message = await begun(chat, owner, deployed)
    chat.gateway.let(len(chat.gateway.words) + 1)
    async with following(url, chat, owner, conversation, message) as stream:
        error, finished = (await stream.rest())[-2:]
    assert (error["event"], error["data"]["error"]["code"]) == ("error", "internal_error")
    assert finished["data"]["message"]["state"] == "failed"
    assert "inside" not in json.dumps(error)


async def test_an_ended_session_ends_its_streams(
    owner: Person, deployed: str, chat: Any, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "RECHECK_SHOWING_SECONDS", 0.2)
    conversation, message = await begun(chat, owner, deployed)
    browser = await sync_to_async(lambda: owner.browser)()
    monkeypatch.setattr(chat, "cookie", _cookie_of(browser))
    async with following(url, chat, owner, conversation, message) as stream:
        chat.gateway.let(1)
        assert await stream.hear() is not None
        await sync_to_async(browser.post)("/accounts/sign-out")
        last = (await stream.rest())[-1]
        chat.gateway.let(1)
    assert (last["event"], last["data"]["error"]["code"]) == ("error", "invalid_api_key")


def _cookie_of(browser: Any) -> Any:
    value = str(browser.cookies["lw_session"].value)

    async def cookie(person: Person) -> str:
        return value

    return cookie


async def test_a_deleted_conversation_ends_its_streams(
    owner: Person, deployed: str, chat: Any, url: str
) -> None:
    conversation, message = await begun(chat, owner, deployed)
    chat.gateway.let(1)

    def delete() -> None:
        with owner.acting():
            Conversation.objects.filter(pk=parse("conv", conversation)).delete()

    async with following(url, chat, owner, conversation, message) as stream:
        assert await stream.hear() is not None
        await sync_to_async(delete)()
        chat.gateway.let(len(chat.gateway.words))
        last = (await stream.rest())[-1]
    assert last["data"]["error"]["code"] == "not_found"


async def test_nobody_else_finds_the_answer(
    owner: Person, teammate: Person, stranger: Person, deployed: str, chat: Any, url: str
) -> None:
    conversation, message = await begun(chat, owner, deployed)
    for person in (teammate, stranger):
        async with following(url, chat, person, conversation, message) as stream:
            assert stream.response.status_code == 404
    key = {"authorization": f"Bearer {owner.secret}"}
    async with following(url, chat, owner, conversation, message, headers=key) as stream:
        assert stream.response.status_code == 403


@pytest.mark.parametrize("number", ["-1", "x", "99999999", "1" * 40, "٣"])
async def test_a_number_that_is_none_is_refused(
    owner: Person, deployed: str, chat: Any, url: str, number: str
) -> None:
    conversation, message = await begun(chat, owner, deployed)
    async with following(url, chat, owner, conversation, message, params={"after": number}) as stream:
        await stream.response.aread()
        refusal = stream.response.json()["error"]
    assert (stream.response.status_code, refusal["param"]) == (400, "after")


async def test_a_person_follows_so_many_answers_and_no_more(
    owner: Person, deployed: str, chat: Any, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "MAX_FOLLOWED", 1)
    conversation, message = await begun(chat, owner, deployed)
    chat.gateway.let(1)
    async with following(url, chat, owner, conversation, message) as stream:
        assert await stream.hear() is not None
        async with following(url, chat, owner, conversation, message) as refused:
            assert refused.response.status_code == 429
        chat.gateway.let(len(chat.gateway.words))
        await stream.rest()
    async with following(url, chat, owner, conversation, message) as stream:
        assert (await stream.rest())[-1]["event"] == "message.finished"


async def test_that_it_was_followed_is_recorded(owner: Person, deployed: str, chat: Any, url: str) -> None:
    conversation, message = await begun(chat, owner, deployed)
    chat.gateway.let(len(chat.gateway.words))
    async with following(url, chat, owner, conversation, message) as stream:
        await stream.rest()

    def read() -> list[AuditEntry]:
        with owner.acting():
            entries = AuditEntry.objects.filter(action="conversation.read", details={"through": "events"})
            return list(entries)

    (entry,) = await sync_to_async(read)()
    assert (entry.target, entry.person) == (conversation, owner.user.pk)
