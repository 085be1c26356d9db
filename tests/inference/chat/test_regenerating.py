"""The last answer anew: the older one is kept beside it, and is no part of what follows."""

from typing import Any

from tests.cast import Person
from tests.inference.chat.scripted import BrowserSocket, ask, text_of


async def answered(socket: BrowserSocket, content: str = "How many blackbirds?") -> str:
    """Ask, and wait for the end; answers the answer's id."""
    answer = await ask(socket, content)
    await socket.hear_until("message.finished")
    return answer


async def test_the_last_answer_is_generated_anew_and_the_older_one_is_kept(
    owner: Person, deployed: str, chat: Any
) -> None:
    conversation = await chat.begin(owner, deployed)
    socket = await chat.talk(owner, conversation)
    older = await answered(socket)
    chat.gateway.words = ["Two", " dozen"]
    await socket.say(type="regenerate", message_id=older)
    superseded, started, *rest = await socket.hear_until("message.finished")
    assert (superseded["type"], superseded["message"]["id"]) == ("message.superseded", older)
    assert superseded["message"]["superseded"] is True
    assert (started["type"], started["message"]["state"]) == ("message.started", "streaming")
    assert text_of(rest) == "Two dozen"
    shown = (await chat.rest(owner, "get", f"/api/v1/conversations/{conversation}")).json()["messages"]
    assert [(one["role"], one["content"], one["superseded"]) for one in shown] == [
        ("user", "How many blackbirds?", False),
        ("assistant", "Four and twenty, néé 🐦.", True),
        ("assistant", "Two dozen", False),
    ]
    (_, first), (_, second) = chat.gateway.asked
    assert second.messages == first.messages
    assert (first.cache, second.cache) == ("auto", "anew")
    await answered(socket, "And in the pie?")
    _, third = chat.gateway.asked[2]
    assert [one.content for one in third.messages] == ["How many blackbirds?", "Two dozen", "And in the pie?"]


async def test_an_answer_that_failed_can_be_had_anew(owner: Person, deployed: str, chat: Any) -> None:
    chat.gateway.fault = RuntimeError("no")
    socket = await chat.talk(owner, await chat.begin(owner, deployed))
    failed = await answered(socket)
    chat.gateway.fault = None
    await socket.say(type="regenerate", message_id=failed)
    frames = await socket.hear_until("message.finished")
    assert frames[-1]["message"]["state"] == "complete"


async def test_only_the_last_answer_is_generated_anew_and_only_once(
    owner: Person, deployed: str, chat: Any
) -> None:
    conversation = await chat.begin(owner, deployed)
    socket = await chat.talk(owner, conversation)
    first = await answered(socket)
    second = await answered(socket, "And now?")
    await socket.say(type="regenerate", message_id=first)
    assert (await socket.hear())["error"]["code"] == "not_the_last_answer"
    chat.gateway.held = True
    await socket.say(type="regenerate", message_id=second)
    await socket.hear_until("message.started")
    # As a second window does that has not heard of it yet.
    await socket.say(type="regenerate", message_id=second)
    assert (await socket.hear())["error"]["code"] == "generation_in_progress"
    chat.gateway.let(10)
    await socket.hear_until("message.finished")
    await socket.say(type="regenerate", message_id=second)
    assert (await socket.hear())["error"]["code"] == "not_the_last_answer"
    shown = (await chat.rest(owner, "get", f"/api/v1/conversations/{conversation}")).json()["messages"]
    question = shown[0]["id"]
    await socket.say(type="regenerate", message_id=question)
    assert (await socket.hear())["error"]["code"] == "not_the_last_answer"
    assert len(chat.gateway.asked) == 3
