"""What a socket tells of an answer that is quicker than the socket."""

from typing import Any

import pytest

from inference.chat import following, generation
from tests.cast import Person
from tests.inference.chat.scripted import text_of


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
