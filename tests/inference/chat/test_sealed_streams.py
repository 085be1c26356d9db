"""Whoever reads Valkey alone reads no answer, and a destroyed key ends every reading."""

from typing import Any
from uuid import UUID

import pytest
from asgiref.sync import sync_to_async

from inference.chat import streams
from kernel import ids
from kernel.crypto import keys
from kernel.crypto.errors import CiphertextAltered
from tests.cast import Person
from tests.inference.chat.scripted import ask, text_of


def kept_of(message_id: UUID) -> list[Any]:
    """The entries of an answer's stream, as Valkey has them."""
    return list(streams.blocking_valkey().xrange(streams.stream_key(message_id)))  # type: ignore[arg-type]


async def test_nothing_of_an_answer_lies_in_valkey_in_clear(owner: Person, deployed: str, chat: Any) -> None:
    chat.gateway.words = ["Blackbirds", " bake", " pies"]
    socket = await chat.talk(owner, await chat.begin(owner, deployed))
    answer = ids.parse("msg", await ask(socket, "Who bakes?"))
    await socket.hear_until("message.finished")
    entries = await sync_to_async(kept_of)(answer)
    assert len(entries) == 5
    for word in (b"Blackbirds", b"bake", b"pies", b"Who"):
        assert word not in repr(entries).encode()


async def test_a_piece_opens_at_its_own_place_in_its_own_answer_only(
    owner: Person, stranger: Person, deployed: str, chat: Any
) -> None:
    socket = await chat.talk(owner, await chat.begin(owner, deployed))
    answer = ids.parse("msg", await ask(socket))
    await socket.hear_until("message.finished")
    organization_id = owner.organization.pk

    def look() -> None:
        with owner.acting():
            key = streams.find_key(organization_id, answer)
            assert key is not None
            kept = kept_of(answer)
            sealed = kept[1][1][b"text"]
            assert key.open(1, sealed) == "Four"
            with pytest.raises(CiphertextAltered):
                key.open(2, sealed)
        with stranger.acting(), pytest.raises(CiphertextAltered):
            streams.find_key(stranger.organization.pk, answer)

    await sync_to_async(look)()


async def test_with_the_persons_key_destroyed_nothing_streamed_is_read_again(
    owner: Person, deployed: str, chat: Any
) -> None:
    socket = await chat.talk(owner, await chat.begin(owner, deployed))
    answer = await ask(socket)
    assert text_of(await socket.hear_until("message.finished")) == "".join(chat.gateway.words)
    organization_id = owner.organization.pk

    def destroy() -> str:
        with owner.acting():
            keys.destroy_person_key(organization_id, owner.user.pk)
        with owner.acting():
            return streams.text_so_far(organization_id, ids.parse("msg", answer))

    assert await sync_to_async(destroy)() == ""
    await socket.say(type="resume", message_id=answer, after=0)
    assert (await socket.hear())["error"]["code"] == "key_destroyed"
