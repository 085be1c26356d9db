"""What a socket tells of an answer that is quicker than the socket, and to one who was long away."""

from typing import Any

import pytest

from inference.chat import following, generation
from tests.cast import Person
from tests.inference.chat.scripted import ask, sent, text_of


async def test_an_answer_written_between_two_looks_is_streamed_too(
    owner: Person, deployed: str, chat: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = await chat.begin(owner, deployed)
    socket = await chat.talk(owner, conversation)
    look = following._ending

    async def late(*place: Any, **patience: Any) -> Any:
        await generation.wait_for_all()
        return await look(*place, **patience)

    monkeypatch.setattr(following, "_ending", late)
    await socket.say(type="send", content="How many blackbirds?", client_id="c1")
    frames = await socket.hear_until("message.finished")
    assert text_of(frames) == "".join(chat.gateway.words)


@pytest.mark.parametrize("after", [0, 7])
async def test_whoever_missed_much_gets_the_text_so_far_at_once_and_then_what_follows(
    owner: Person, deployed: str, chat: Any, after: int
) -> None:
    chat.gateway.words = [f"{number} né 🐦 " for number in range(140)]
    chat.gateway.held = True
    conversation = await chat.begin(owner, deployed)
    first, late = await chat.talk(owner, conversation), await chat.talk(owner, conversation)
    answer = await ask(first)
    heard = []
    for _ in range(13):
        # In steps, or on a busy machine the first would have missed much too.
        chat.gateway.let(10)
        heard += [await first.hear() for _ in range(10)]
    assert text_of(heard) == "".join(chat.gateway.words[:130])
    await late.say(type="resume", message_id=answer, after=after)
    caught_up = await late.hear()
    assert caught_up == {
        "type": "text",
        "message_id": answer,
        "seq": 130,
        "text": "".join(chat.gateway.words[:130]),
    }
    chat.gateway.let(10)
    frames = await late.hear_until("message.finished")
    assert frames[0]["seq"] == 131
    assert text_of(frames) == "".join(chat.gateway.words[130:])


async def test_an_answer_longer_than_is_accepted_ends_with_what_came(
    owner: Person, deployed: str, chat: Any
) -> None:
    chat.gateway.words = ["é" * 60_000] * 4
    socket = await chat.talk(owner, await chat.begin(owner, deployed))
    await ask(socket)
    error, finished = (await socket.hear_until("message.finished"))[-2:]
    assert error["error"]["code"] == "answer_too_long"
    assert finished["message"]["state"] == "failed"
    assert finished["message"]["content"] == "é" * 120_000


async def test_a_message_sent_again_because_its_confirmation_was_lost_is_there_once(
    owner: Person, deployed: str, chat: Any
) -> None:
    conversation = await chat.begin(owner, deployed)
    chat.gateway.held = True
    first = await chat.talk(owner, conversation)
    answer = (await sent(first, "How many?", "mine"))["id"]
    chat.gateway.let(3)
    assert text_of([await first.hear() for _ in range(3)]) == "Four and twenty"
    await first.leave()
    chat.sockets.remove(first)
    again = await chat.talk(owner, conversation)
    told = await sent(again, "How many?", "mine")
    assert (told["id"], told["state"]) == (answer, "streaming")
    chat.gateway.let(10)
    frames = await again.hear_until("message.finished")
    assert text_of(frames) == "".join(chat.gateway.words)
    # And once more when all is over.
    late = await chat.talk(owner, conversation)
    told = await sent(late, "How many?", "mine")
    assert (told["id"], told["state"]) == (answer, "complete")
    assert (await late.hear_until("message.finished"))[-1]["message"]["id"] == answer
    shown = (await chat.rest(owner, "get", f"/api/v1/conversations/{conversation}")).json()["messages"]
    assert [one["role"] for one in shown] == ["user", "assistant"]
    assert len(chat.gateway.asked) == 1
