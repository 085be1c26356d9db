"""An answer as a socket follows it: from any token on, without a gap and without a repetition."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

from channels.db import database_sync_to_async
from redis.exceptions import RedisError

from inference.chat.models import Message, MessageState
from inference.chat.settlement import settle_if_interrupted
from inference.chat.shapes import show_message
from inference.chat.streams import AnswerStream, Piece
from kernel.errors import NotFound, Unavailable
from kernel.ids import render
from kernel.tenancy.scope import acting_for

Frame = dict[str, Any]
POLL_SECONDS = 1.0


async def follow(organization_id: UUID, message_id: UUID, after: int) -> AsyncIterator[Frame]:
    """The frames that follow token `after`: `token`…, then `message.finished` (after `error` if it failed).

    Ends with an `error` frame alone when Valkey does not answer. Raises `NotFound` when the conversation
    is deleted meanwhile.
    """
    stream = AnswerStream(message_id)
    wait = False
    shown: Frame | None = None
    while True:
        try:
            pieces = await stream.read(after, wait=wait)
        except RedisError:
            yield error_frame(Unavailable().body()["error"], message_id)
            return
        tokens = list(_in_order(pieces, after))
        for seq, text in tokens:
            yield {"type": "token", "message_id": render("msg", message_id), "seq": seq, "text": text}
        after += len(tokens)
        if pieces and len(tokens) == len(pieces):
            wait = shown is None
            continue
        if shown is not None:
            break
        shown = await _ending(organization_id, message_id, patience=POLL_SECONDS if pieces else 0.0)
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
