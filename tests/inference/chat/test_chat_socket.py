"""Talking to a model: tokens stream, a reload loses nothing, stop keeps what came, strangers see nothing."""

import asyncio
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.sessions.models import Session

from inference.chat import generation, streams
from inference.chat.models import Conversation, Message
from inference.chat.settlement import sweep
from inference.gateway.faults import ContextLengthExceeded, ModelFailed
from kernel import ids
from tests.cast import Person
from tests.inference.chat.scripted import DIGEST, BrowserSocket, ask, text_of


async def test_an_answer_streams_and_stays(owner: Person, deployed: str, chat: Any) -> None:
    conversation = await chat.begin(owner, deployed)
    socket = await chat.talk(owner, conversation)
    answer = await ask(socket)
    frames = await socket.hear_until("message.finished")
    whole = "".join(chat.gateway.words)
    assert text_of(frames) == whole
    assert frames[0]["seq"] == 1
    message = frames[-1]["message"]
    assert (message["id"], message["content"], message["state"]) == (answer, whole, "complete")
    assert (message["digest"], message["finish_reason"], message["model"]) == (DIGEST, "stop", deployed)
    assert message["usage"] == {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}
    shown = (await chat.rest(owner, "get", f"/api/v1/conversations/{conversation}")).json()
    assert [(one["role"], one["content"]) for one in shown["messages"]] == [
        ("user", "How many blackbirds?"),
        ("assistant", whole),
    ]
    assert shown["title"] == "How many blackbirds?"
    principal, request = chat.gateway.asked[0]
    assert principal.user_id == str(owner.user.pk)
    assert (principal.key_id, principal.project_id) == (None, str(owner.project.pk))
    assert [(one.role, one.content) for one in request.messages] == [("user", "How many blackbirds?")]


async def test_a_second_message_carries_the_whole_conversation(
    owner: Person, deployed: str, chat: Any
) -> None:
    socket = await chat.talk(owner, await chat.begin(owner, deployed))
    await ask(socket)
    await socket.hear_until("message.finished")
    await ask(socket, "And in the pie?")
    await socket.hear_until("message.finished")
    _, request = chat.gateway.asked[1]
    assert [one.role for one in request.messages] == ["user", "assistant", "user"]


async def test_a_reload_in_the_middle_resumes_exactly_from_every_token(
    owner: Person, deployed: str, chat: Any
) -> None:
    conversation = await chat.begin(owner, deployed)
    chat.gateway.held = True
    first = await chat.talk(owner, conversation)
    answer = await ask(first)
    chat.gateway.let(4)
    before = [await first.hear() for _ in range(4)]
    await first.leave()
    chat.sockets.remove(first)
    others = [await chat.talk(owner, conversation) for _ in range(5)]
    for after, socket in enumerate(others):
        await socket.say(type="resume", message_id=answer, after=after)
    chat.gateway.let(10)
    whole = "".join(chat.gateway.words)
    for after, socket in enumerate(others):
        frames = await socket.hear_until("message.finished")
        assert text_of(before[:after]) + text_of(frames) == whole
        assert frames[-1]["message"]["content"] == whole
    assert len(chat.gateway.metered) == 1


async def test_two_windows_see_the_same(owner: Person, deployed: str, chat: Any) -> None:
    conversation = await chat.begin(owner, deployed)
    chat.gateway.held = True
    one, two = await chat.talk(owner, conversation), await chat.talk(owner, conversation)
    answer = await ask(one)
    await two.say(type="resume", message_id=answer, after=0)
    chat.gateway.let(10)
    seen = [await socket.hear_until("message.finished") for socket in (one, two)]
    assert text_of(seen[0]) == text_of(seen[1]) == "".join(chat.gateway.words)


async def test_an_ended_answer_can_be_resumed_too(owner: Person, deployed: str, chat: Any) -> None:
    conversation = await chat.begin(owner, deployed)
    socket = await chat.talk(owner, conversation)
    answer = await ask(socket)
    await socket.hear_until("message.finished")
    await socket.say(type="resume", message_id=answer, after=3)
    frames = await socket.hear_until("message.finished")
    assert text_of(frames) == "".join(chat.gateway.words[3:])
    # Even when its stream has expired.
    await sync_to_async(streams.blocking_valkey().delete)(
        streams.stream_key(ids.parse("msg", answer)),
    )
    await socket.say(type="resume", message_id=answer, after=0)
    [finished] = await socket.hear_until("message.finished")
    assert finished["message"]["content"] == "".join(chat.gateway.words)


async def test_stop_keeps_what_came_and_meters_once(owner: Person, deployed: str, chat: Any) -> None:
    conversation = await chat.begin(owner, deployed)
    chat.gateway.held = True
    socket = await chat.talk(owner, conversation)
    answer = await ask(socket)
    chat.gateway.let(3)
    heard = [await socket.hear() for _ in range(3)]
    await socket.say(type="stop", message_id=answer)
    [finished] = await socket.hear_until("message.finished")
    assert finished["message"]["state"] == "stopped"
    assert finished["message"]["content"] == text_of(heard) == "Four and twenty"
    assert chat.gateway.metered == [3]
    # Stopping again, or stopping what has ended, is no fault.
    await socket.say(type="stop", message_id=answer)
    chat.gateway.held = False
    await ask(socket, "Go on")
    await socket.hear_until("message.finished")
    _, request = chat.gateway.asked[1]
    assert [one.content for one in request.messages][1] == "Four and twenty"


async def test_stop_works_before_the_first_token_and_from_another_window(
    owner: Person, deployed: str, chat: Any
) -> None:
    conversation = await chat.begin(owner, deployed)
    chat.gateway.held = True
    one, two = await chat.talk(owner, conversation), await chat.talk(owner, conversation)
    answer = await ask(one)
    await two.say(type="stop", message_id=answer)
    [finished] = await one.hear_until("message.finished")
    assert (finished["message"]["state"], finished["message"]["content"]) == ("stopped", "")
    assert chat.gateway.metered == []


async def test_a_model_that_fails_midway_leaves_its_text_and_says_why(
    owner: Person, deployed: str, chat: Any
) -> None:
    chat.gateway.fault = ModelFailed("The model broke off.")
    conversation = await chat.begin(owner, deployed)
    socket = await chat.talk(owner, conversation)
    answer = await ask(socket)
    frames = await socket.hear_until("message.finished")
    error, finished = frames[-2:]
    assert (error["type"], error["message_id"]) == ("error", answer)
    assert error["error"]["code"] == "model_failed"
    assert finished["message"]["state"] == "failed"
    assert finished["message"]["content"] == "".join(chat.gateway.words)
    assert finished["message"]["error"] == error["error"]


async def test_a_conversation_longer_than_the_context_is_refused_clearly(
    owner: Person, deployed: str, chat: Any
) -> None:
    chat.gateway.words = []
    chat.gateway.fault = ContextLengthExceeded("8300 tokens do not fit.", param="messages")
    socket = await chat.talk(owner, await chat.begin(owner, deployed))
    await ask(socket)
    error, finished = await socket.hear_until("message.finished")
    assert error["error"] == {
        "message": "8300 tokens do not fit.",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "context_length_exceeded",
    }
    assert finished["message"]["state"] == "failed"
    assert chat.gateway.metered == []


async def test_an_unforeseen_fault_tells_nothing_of_the_inside(
    owner: Person, deployed: str, chat: Any
) -> None:
    chat.gateway.fault = RuntimeError("secret inside")
    socket = await chat.talk(owner, await chat.begin(owner, deployed))
    await ask(socket)
    frames = await socket.hear_until("message.finished")
    assert frames[-2]["error"]["code"] == "internal_error"
    assert "secret" not in str(frames)


async def test_one_answer_at_a_time(owner: Person, deployed: str, chat: Any) -> None:
    conversation = await chat.begin(owner, deployed)
    chat.gateway.held = True
    one, two = await chat.talk(owner, conversation), await chat.talk(owner, conversation)
    await ask(one)
    await two.say(type="send", content="Me too", client_id="c9")
    refused = await two.hear()
    assert (refused["type"], refused["client_id"]) == ("error", "c9")
    assert refused["error"]["code"] == "generation_in_progress"
    chat.gateway.let(10)
    await one.hear_until("message.finished")
    await ask(two, "Me too")
    chat.gateway.let(10)
    await two.hear_until("message.finished")


async def test_two_messages_at_the_same_moment_make_one_answer(
    owner: Person, deployed: str, chat: Any
) -> None:
    conversation = await chat.begin(owner, deployed)
    chat.gateway.held = True
    sockets = [await chat.talk(owner, conversation) for _ in range(4)]
    said = [socket.say(type="send", content="Now!", client_id=f"{n}") for n, socket in enumerate(sockets)]
    await asyncio.gather(*said)
    kinds = [(await socket.hear())["type"] for socket in sockets]
    assert sorted(kinds) == ["error", "error", "error", "message.created"]
    chat.gateway.let(10)


BAD_FRAMES = [
    ("{", "invalid_json"),
    ("[]", "invalid_json"),
    ('"send"', "invalid_json"),
    ("{}", "invalid_request"),
    ('{"type": "send"}', "invalid_request"),
    ('{"type": "send", "content": "   "}', "invalid_request"),
    ('{"type": "send", "content": 7}', "invalid_request"),
    ('{"type": "send", "content": "a\\u0000b"}', "invalid_request"),
    ('{"type": "send", "content": "a", "client_id": 5}', "invalid_request"),
    ('{"type": "send", "content": "a", "client_id": "\\u0000"}', "invalid_request"),
    ('{"type": "send", "content": "' + "x" * 32_001 + '"}', "string_above_max_length"),
    ('{"type": "send", "content": "' + "x" * 300_000 + '"}', "payload_too_large"),
    ('{"type": "stop"}', "invalid_request"),
    ('{"type": "regenerate"}', "invalid_request"),
    ('{"type": "regenerate", "message_id": "msg-' + "0" * 32 + '"}', "not_found"),
    ('{"type": "stop", "message_id": "msg-1"}', "not_found"),
    ('{"type": "resume", "message_id": "msg-' + "0" * 32 + '", "after": 0}', "not_found"),
    ('{"type": "resume", "message_id": "msg-' + "0" * 32 + '", "after": -1}', "invalid_request"),
    ('{"type": "resume", "message_id": "msg-' + "0" * 32 + '", "after": true}', "invalid_request"),
    ('{"type": "dance"}', "invalid_request"),
]


async def test_bad_frames_are_refused_and_the_socket_lives(owner: Person, deployed: str, chat: Any) -> None:
    socket = await chat.talk(owner, await chat.begin(owner, deployed))
    for text, code in BAD_FRAMES:
        await socket.say_raw(text)
        refused = await socket.hear()
        assert (refused["type"], refused["error"]["code"]) == ("error", code), text[:60]
    await ask(socket)
    assert text_of(await socket.hear_until("message.finished")) == "".join(chat.gateway.words)


async def test_nobody_else_can_open_the_conversation(
    owner: Person, teammate: Person, stranger: Person, deployed: str, chat: Any
) -> None:
    conversation = await chat.begin(owner, deployed)
    for person in (teammate, stranger):
        for name in (conversation, "conv-" + "0" * 32, "conv-x", "msg-" + "0" * 32):
            socket = await (await chat.socket(person, f"/ws/chat/{name}")).open()
            assert await socket.closed() == 4404
        path = f"/api/v1/conversations/{conversation}"
        for method, body in (("get", None), ("patch", {"title": "Mine"}), ("delete", None)):
            answer = await chat.rest(person, method, path, body)
            assert answer.status_code == 404
        listed = await chat.rest(person, "get", "/api/v1/conversations")
        assert listed.json()["data"] == []


async def test_another_conversations_message_cannot_be_followed_or_stopped(
    owner: Person, deployed: str, chat: Any
) -> None:
    one = await chat.talk(owner, await chat.begin(owner, deployed))
    answer = await ask(one)
    await one.hear_until("message.finished")
    two = await chat.talk(owner, await chat.begin(owner, deployed))
    for kind in ("resume", "stop", "regenerate"):
        await two.say(type=kind, message_id=answer, after=0)
        assert (await two.hear())["error"]["code"] == "not_found"


async def test_without_a_session_a_socket_is_closed_with_4401(
    owner: Person, deployed: str, chat: Any
) -> None:
    conversation = await chat.begin(owner, deployed)
    for cookie in ("", "x" * 32):
        for path in ("/ws/events", f"/ws/chat/{conversation}"):
            socket = await BrowserSocket(chat.application, path, cookie).open()
            assert await socket.closed() == 4401


async def test_a_page_of_another_site_cannot_open_a_socket(owner: Person, deployed: str, chat: Any) -> None:
    cookie = await chat.cookie(owner)
    origins = (
        "https://evil.example",
        "http://evil.example:8000",
        "null",
        "file://",
        "http://localhost:9",
        None,
    )
    for origin in origins:
        socket = BrowserSocket(chat.application, "/ws/events", cookie, origin=origin)
        assert await socket.handshake() == 4403, origin


async def test_a_session_that_ended_can_send_no_more(owner: Person, deployed: str, chat: Any) -> None:
    cookie = await chat.cookie(owner)
    conversation = await chat.begin(owner, deployed)
    socket = await BrowserSocket(chat.application, f"/ws/chat/{conversation}", cookie).open()
    await socket.say(type="dance")
    assert (await socket.hear())["type"] == "error"
    await sync_to_async(_end_session)(cookie)
    await socket.say(type="send", content="Still here?", client_id="c")
    assert await socket.closed() == 4401
    assert chat.gateway.asked == []


def _end_session(cookie: str) -> None:
    Session.objects.filter(pk=cookie).delete()


async def test_an_answer_whose_process_died_is_failed_with_what_came(
    owner: Person, deployed: str, chat: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = await chat.begin(owner, deployed)
    chat.gateway.held = True
    socket = await chat.talk(owner, conversation)
    answer = await ask(socket)
    chat.gateway.let(2)
    heard = [await socket.hear() for _ in range(2)]
    monkeypatch.setattr(generation._Answer, "_store", _die)
    await generation.interrupt_all()
    await sync_to_async(_grow_old)(owner, answer)
    await socket.say(type="resume", message_id=answer, after=2)
    error, finished = await socket.hear_until("message.finished")
    assert error["error"]["code"] == "generation_interrupted"
    assert finished["message"]["content"] == text_of(heard) == "Four and"
    shown = (await chat.rest(owner, "get", f"/api/v1/conversations/{conversation}")).json()
    assert shown["messages"][1]["state"] == "failed"


async def _die(*_: Any) -> None:
    """What a process does to its answer that dies by SIGKILL: nothing."""


def _grow_old(owner: Person, answer: str) -> None:
    """Time passes, in which no sign of life is given."""
    message_id = ids.parse("msg", answer)
    with owner.acting():
        Message.objects.filter(pk=message_id).update(created_at="2026-01-01T00:00:00Z")
    streams.blocking_valkey().delete(f"{streams.stream_key(message_id)}:alive")


async def test_the_sweep_finds_answers_whose_process_died_though_nobody_looks(
    owner: Person, deployed: str, chat: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = await chat.begin(owner, deployed)
    chat.gateway.held = True
    socket = await chat.talk(owner, conversation)
    living = await chat.talk(owner, await chat.begin(owner, deployed))
    answer = await ask(socket)
    chat.gateway.let(3)
    await socket.hear_until("token")
    await socket.hear_until("token")
    await socket.hear_until("token")
    other = await ask(living)
    with monkeypatch.context() as patch:
        patch.setattr(generation._Answer, "_store", _die)
        generation._running[ids.parse("msg", answer)].cancel()
        await asyncio.wait([generation._running[ids.parse("msg", answer)]])
    await sync_to_async(_grow_old)(owner, answer)
    assert await sync_to_async(sweep)() >= 1
    assert await sync_to_async(_state_of)(owner, answer) == "failed"
    assert await sync_to_async(_state_of)(owner, other) == "streaming"


def _state_of(owner: Person, answer: str) -> str:
    with owner.acting():
        return str(Message.objects.get(pk=ids.parse("msg", answer)).state)


async def test_content_and_title_are_stored_sealed(owner: Person, deployed: str, chat: Any) -> None:
    conversation = await chat.begin(owner, deployed)
    socket = await chat.talk(owner, conversation)
    await ask(socket, "The quick brown fox")
    await socket.hear_until("message.finished")

    def stored() -> bytes:
        with owner.acting():
            rows = [bytes(row.sealed_content) for row in Message.objects.all()]
            titles = [bytes(row.sealed_title) for row in Conversation.objects.all()]
        return b"".join(rows + titles)

    sealed = await sync_to_async(stored)()
    assert len(sealed) > 100
    assert b"fox" not in sealed
    assert b"Four" not in sealed
