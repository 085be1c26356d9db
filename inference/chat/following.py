"""An answer as a socket follows it: from any token on, without a gap and without a repetition."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from typing import Any
from uuid import UUID

from channels.db import database_sync_to_async
from redis.exceptions import RedisError

from inference.chat.models import Message, MessageState
from inference.chat.sealing import AnswerKey
from inference.chat.settlement import settle_if_interrupted
from inference.chat.shapes import show_message
from inference.chat.streams import AnswerStream, Piece, find_key
from kernel.errors import NotFound, Unavailable
from kernel.ids import render
from kernel.tenancy.scope import acting_for

Frame = dict[str, Any]
POLL_SECONDS = 1.0
# Whoever missed more tokens than these gets the whole text at once.
MOST_MISSED = 100


async def follow(organization_id: UUID, message_id: UUID, after: int) -> AsyncGenerator[Frame, None]:
    """The frames that follow token `after`: `token`…, then `message.finished` (after `error` if it failed).

    A reader who is far behind gets a `text` frame first, with all there is up to its `seq`. Ends with an
    `error` frame alone when Valkey does not answer. Raises `NotFound` when the conversation is deleted
    meanwhile, `KeyDestroyed`, `KeyUnavailable`.
    """
    stream: AnswerStream | None = None
    wait = False
    shown: Frame | None = None
    while True:
        try:
            stream = stream or await _stream_of(organization_id, message_id)
            pieces = await stream.read(after, wait=wait) if stream else []
            tokens = list(_in_order(pieces, after))
            whole = await stream.read(0, wait=False) if stream and len(tokens) > MOST_MISSED else []
        except RedisError:
            yield error_frame(Unavailable().body()["error"], message_id)
            return
        for frame in _frames(message_id, tokens, whole):
            yield frame
        after += len(tokens)
        if pieces and len(tokens) == len(pieces):
            wait = shown is None
            continue
        if shown is not None:
            break
        patience = POLL_SECONDS if pieces or stream is None else 0.0
        shown = await _ending(organization_id, message_id, patience=patience)
        # An answer that has ended: once more, for what was written since the last look at the stream.
        wait = shown is None
    for frame in final_frames(shown, message_id):
        yield frame


def _in_order(pieces: list[Piece], after: int) -> Iterator[tuple[int, str]]:
    """The tokens up to the end; or up to a gap, which the whole text at the end makes good."""
    for expected, piece in enumerate(pieces, start=after + 1):
        if piece.text is None or piece.seq != expected:
            return
        yield piece.seq, piece.text


def _frames(message_id: UUID, tokens: list[tuple[int, str]], whole: list[Piece]) -> list[Frame]:
    """The tokens one by one; or in their place the whole text up to the last of them."""
    name = render("msg", message_id)
    if not whole:
        return [{"type": "token", "message_id": name, "seq": seq, "text": text} for seq, text in tokens]
    last = tokens[-1][0]
    text = "".join(piece.text or "" for piece in whole if piece.seq <= last)
    return [{"type": "text", "message_id": name, "seq": last, "text": text}]


async def _stream_of(organization_id: UUID, message_id: UUID) -> AnswerStream | None:
    key = await database_sync_to_async(_key_of, thread_sensitive=False)(organization_id, message_id)
    return AnswerStream(message_id, key) if key else None


def _key_of(organization_id: UUID, message_id: UUID) -> AnswerKey | None:
    with acting_for(organization_id):
        return find_key(organization_id, message_id)


def final_frames(shown: Frame, message_id: UUID) -> list[Frame]:
    """What tells that an answer has ended."""
    finished = {"type": "message.finished", "message": shown}
    if shown["state"] == MessageState.FAILED and shown["error"]:
        return [error_frame(shown["error"], message_id), finished]
    return [finished]


def error_frame(error: Any, message_id: UUID | None = None) -> Frame:
    """A fault as the socket tells it."""
    return {
        "type": "error",
        "error": error,
        "message_id": render("msg", message_id) if message_id else None,
    }


async def _ending(organization_id: UUID, message_id: UUID, *, patience: float) -> Frame | None:
    """The message if it has ended; otherwise nothing, after so many seconds."""
    look = database_sync_to_async(_shown_if_ended, thread_sensitive=False)
    shown: Frame | None = await look(organization_id, message_id)
    if shown is None:
        await asyncio.sleep(patience)
    return shown


def _shown_if_ended(organization_id: UUID, message_id: UUID) -> Frame | None:
    with acting_for(organization_id):
        message: Message | None = Message.objects.filter(pk=message_id).first()
        if message is None:
            raise NotFound("The conversation was deleted.")
        if message.state == MessageState.STREAMING:
            if not settle_if_interrupted(message):
                return None
            message.refresh_from_db()
        return show_message(message)
