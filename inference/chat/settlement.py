"""How an answer ends in the database: by its writer, or by whoever finds that the writer died."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import redis
import structlog
from django.db.models import QuerySet
from django.db.models.functions import Now

from inference.chat import streams
from inference.chat.happenings import UPDATED, tell
from inference.chat.models import Conversation, Message, MessageState
from kernel.crypto.errors import KeyUnavailable
from kernel.errors import DomainError
from kernel.tenancy.scope import across_tenants, acting_for

# A young answer may not have given its first sign of life yet.
GRACE = timedelta(seconds=streams.ALIVE_SECONDS)

log = structlog.get_logger()


class Interrupted(DomainError):
    """The process that wrote the answer ended before the answer did."""

    code, status = "generation_interrupted", 503
    message = "The answer was interrupted: the process that wrote it ended. Send the message again."


@dataclass(frozen=True)
class Outcome:
    """How an answer ended. `error` is the inside of OpenAI's error object."""

    state: MessageState
    text: str
    digest: str = ""
    finish_reason: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    error: dict[str, Any] | None = field(default=None)


def settle(organization_id: UUID, message_id: UUID, outcome: Outcome) -> bool:
    """Store how an answer ended; the first word counts. Answers whether this was it."""
    with acting_for(organization_id):
        message: Message | None = (
            Message.objects.select_for_update().filter(pk=message_id, state=MessageState.STREAMING).first()
        )
        if message is None:
            return False
        _apply(message, outcome)
    return True


def settle_if_interrupted(message: Message) -> bool:
    """Mark a streaming answer whose writer is gone as failed, its text kept; answers whether it was.

    Works in the current scope. While Valkey, or the keeper of the keys, does not answer, nothing is known and
    nothing is marked.
    """
    try:
        if streams.is_alive(message.pk):
            return False
        text = streams.text_so_far(message.organization_id, message.pk)
    except (redis.RedisError, KeyUnavailable):
        return False
    row = _old_and_streaming().filter(pk=message.pk).select_for_update().first()
    if row is None:
        return False
    error = Interrupted().body()["error"]
    _apply(row, Outcome(state=MessageState.FAILED, text=text, error=error))
    log.warning("chat.answer_interrupted", message_id=str(message.pk))
    return True


def sweep() -> int:
    """Settle every answer whose writer died, of all organizations; answers how many."""
    with across_tenants():
        found = list(_old_and_streaming().values_list("organization_id", "pk")[:500])
    settled = 0
    for organization_id, message_id in found:
        with acting_for(organization_id):
            message = Message.objects.filter(pk=message_id).first()
            settled += bool(message and settle_if_interrupted(message))
    return settled


def _old_and_streaming() -> "QuerySet[Message]":
    rows: QuerySet[Message] = Message.objects.filter(
        state=MessageState.STREAMING, created_at__lt=Now() - GRACE
    )
    return rows


def _apply(message: Message, outcome: Outcome) -> None:
    message.content = outcome.text
    message.state = outcome.state
    message.digest = outcome.digest
    message.finish_reason = outcome.finish_reason
    message.prompt_tokens = outcome.prompt_tokens
    message.completion_tokens = outcome.completion_tokens
    message.error = outcome.error
    message.save()
    conversation = Conversation.objects.get(pk=message.conversation_id)
    Conversation.objects.filter(pk=conversation.pk).update(updated_at=Now())
    tell(UPDATED, conversation)
