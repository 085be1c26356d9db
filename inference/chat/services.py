"""What people do with conversations."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import redis
from django.db.models import Max
from django.db.models.functions import Now

from inference.chat import streams
from inference.chat.happenings import CREATED, DELETED, UPDATED, tell
from inference.chat.models import Conversation, Message, MessageState
from inference.chat.sealing import AnswerKey
from inference.chat.settlement import settle_if_interrupted
from inference.chat.shapes import show_message
from inference.deployments.models import Deployment
from inference.gateway.contract import ChatMessage
from kernel import ids
from kernel.audit.log import record
from kernel.errors import Conflict, InvalidRequest, NotFound, Unavailable
from tenants.access.permissions import Permission
from tenants.access.principal import Principal
from tenants.access.restrictable import visible
from tenants.organizations import refusals
from tenants.organizations.models import Project
from tenants.organizations.services import holds

MAX_MESSAGE_CHARACTERS = 32_000
MAX_TITLE_CHARACTERS = 200
TITLE_CHARACTERS = 60


class GenerationInProgress(Conflict):
    """An answer is being written in this conversation."""

    code = "generation_in_progress"
    message = "The model is still answering in this conversation: wait for it, or stop it."


class NothingToRegenerate(Conflict):
    """The answer is not the conversation's last one, or no longer."""

    code = "not_the_last_answer"
    message = "Only the last answer of a conversation can be generated anew; read the conversation again."


@dataclass(frozen=True)
class Order:
    """An answer to be generated: for whom, by which model, to what; under which key it is streamed.

    `anew`: the question was answered before, so an answer that was kept is of no use.
    """

    organization_id: UUID
    project_id: UUID
    user_id: UUID
    message_id: UUID
    model: str
    history: tuple[ChatMessage, ...]
    stream_key: AnswerKey = field(repr=False)
    anew: bool = False


@dataclass(frozen=True)
class Begun:
    """What was begun: the answer to come, as it is shown, and what goes before it.

    That is the person's message; or, of an answer generated anew, the one that it supersedes. Without an
    order the answer was begun when the message was sent the first time.
    """

    answer_id: UUID
    before: dict[str, Any]
    answer: dict[str, Any]
    order: Order | None


def conversations_of(principal: Principal) -> Any:
    """The person's conversations in the project; nobody else's."""
    return Conversation.objects.filter(project_id=principal.project_id, created_by_id=principal.user_id)


def find_conversation(principal: Principal, conversation_id: UUID, *, lock: bool = False) -> Conversation:
    """One of the person's conversations. Raises `NotFound` for anybody else's."""
    rows = conversations_of(principal).filter(pk=conversation_id)
    found: Conversation | None = (rows.select_for_update() if lock else rows).first()
    if found is None:
        raise NotFound(f"There is no conversation '{ids.render('conv', conversation_id)}'.")
    return found


def find_message(conversation: Conversation, message_id: UUID) -> Message:
    """A message of the conversation. Raises `NotFound`."""
    found: Message | None = Message.objects.filter(pk=message_id, conversation=conversation).first()
    if found is None:
        raise NotFound(f"There is no message '{ids.render('msg', message_id)}' in this conversation.")
    return found


def start_conversation(principal: Principal, model: str) -> Conversation:
    """A new conversation with a deployed model. Raises `NotFound` for an unknown one."""
    require_model(principal, model)
    conversation: Conversation = Conversation.objects.create(
        project_id=principal.project_id, created_by_id=principal.user_id, model=model
    )
    conversation.refresh_from_db()
    record("conversation.create", conversation.public_id, model=model)
    tell(CREATED, conversation)
    return conversation


def change_conversation(conversation: Conversation, principal: Principal, changes: dict[str, str]) -> None:
    """Rename a conversation or let another model go on. Raises `InvalidRequest`, `NotFound`."""
    before = conversation.model
    if "title" in changes:
        conversation.title = _valid(changes["title"], "title", MAX_TITLE_CHARACTERS)
    if "model" in changes:
        require_model(principal, changes["model"])
        conversation.model = changes["model"]
    conversation.save(update_fields=["sealed_title", "model"])
    # The title is content: that it changed is recorded, not what it was or is.
    record(
        "conversation.update",
        conversation.public_id,
        changed=sorted(changes),
        before={"model": before},
        after={"model": conversation.model},
    )
    touch(conversation)


def delete_conversation(conversation: Conversation) -> None:
    """Delete a conversation with its messages; an answer under way is stopped. Raises `UnderLegalHold`."""
    if conversation.created_by_id is not None:
        holds.require_free(people=[conversation.created_by_id])
    for message in Message.objects.filter(conversation=conversation, state=MessageState.STREAMING):
        stop_answer(message)
    record("conversation.delete", conversation.public_id)
    tell(DELETED, conversation)
    conversation.delete()


def send_message(principal: Principal, conversation_id: UUID, content: str, *, client_id: str = "") -> Begun:
    """Add a person's message, and the answer to it that is still empty.

    Sent again with the same `client_id` (at most 100 characters), it is not added again.

    Raises `InvalidRequest`, `NotFound`, `GenerationInProgress`, `Unavailable`; nothing is stored then.
    """
    text = _valid(content, "content", MAX_MESSAGE_CHARACTERS)
    conversation = find_conversation(principal, conversation_id, lock=True)
    if client_id and (sent := _sent_before(conversation, client_id)):
        return sent
    _require_quiet(conversation)
    _require_still_open(principal, conversation.model)
    question = _add(conversation, "user", MessageState.COMPLETE, content=text, client_id=client_id)
    if not conversation.sealed_title:
        conversation.title = title_of(text)
        conversation.save(update_fields=["sealed_title"])
    return _begin_answer(principal, conversation, question, anew=False)


def regenerate_answer(principal: Principal, conversation_id: UUID, message_id: UUID) -> Begun:
    """Answer the last question anew. The answer of that id is superseded: kept, but no part of what follows.

    Raises `NotFound`, `GenerationInProgress`, `NothingToRegenerate`, `Unavailable`; nothing changes then.
    """
    conversation = find_conversation(principal, conversation_id, lock=True)
    _require_quiet(conversation)
    _require_still_open(principal, conversation.model)
    before = find_message(conversation, message_id)
    last = Message.objects.filter(conversation=conversation).order_by("position").last()
    if before.role != "assistant" or last is None or last.pk != before.pk:
        raise NothingToRegenerate
    before.superseded = True
    before.save(update_fields=["superseded"])
    return _begin_answer(principal, conversation, before, anew=True)


def _begin_answer(principal: Principal, conversation: Conversation, before: Message, *, anew: bool) -> Begun:
    answer = _add(conversation, "assistant", MessageState.STREAMING, model=conversation.model)
    touch(conversation)
    order = Order(
        organization_id=conversation.organization_id,
        project_id=conversation.project_id,
        user_id=principal.user_id or UUID(int=0),
        message_id=answer.pk,
        model=conversation.model,
        history=_history(conversation),
        stream_key=_opened_stream(conversation, answer),
        anew=anew,
    )
    return Begun(answer.pk, show_message(before), show_message(answer), order)


def _sent_before(conversation: Conversation, client_id: str) -> Begun | None:
    messages = Message.objects.filter(conversation=conversation)
    sent = messages.filter(client_id=client_id).first()
    if sent is None:
        return None
    answer = messages.get(position=sent.position + 1)
    return Begun(answer.pk, show_message(sent), show_message(answer), None)


def _opened_stream(conversation: Conversation, answer: Message) -> AnswerKey:
    try:
        return streams.open_stream(conversation.organization_id, answer.pk, conversation.created_by_id)
    except redis.RedisError as fault:
        raise Unavailable("The answer cannot be streamed at the moment; try again shortly.") from fault


def stop_answer(message: Message) -> None:
    """Ask for an answer to end; what was generated is kept. Raises `Unavailable`."""
    try:
        streams.ask_to_stop(message.pk)
    except redis.RedisError as fault:
        raise Unavailable("The answer cannot be stopped at the moment; try again.") from fault


def follow_answer(conversation: Conversation, message_id: UUID) -> Message:
    """An answer whose text is to be shown as it comes, which is recorded. Raises `NotFound`."""
    message = find_message(conversation, message_id)
    record("conversation.read", conversation.public_id, through="events")
    return message


def read_messages(conversation: Conversation) -> list[Message]:
    """The messages in order, which is recorded; an answer whose process died is shown as failed."""
    record("conversation.read", conversation.public_id)
    for message in Message.objects.filter(conversation=conversation, state=MessageState.STREAMING):
        settle_if_interrupted(message)
    return list(Message.objects.filter(conversation=conversation).order_by("position"))


def require_model(principal: Principal, model: str) -> None:
    """Raises `NotFound` unless a deployment of this alias is open to the person, `ModelNotAllowed`."""
    project = Project.objects.get(pk=principal.project_id)
    refusals.require_model(project, model, allowed=principal.allowed_models)
    if not visible(Deployment.objects.filter(alias=model), principal, Permission.CHAT_USE).exists():
        raise NotFound(f"The model '{model[:100]}' does not exist.", param="model", code="model_not_found")


def title_of(text: str) -> str:
    """The first words of a message, as a title."""
    words = " ".join(text[: TITLE_CHARACTERS * 4].split())
    if len(words) <= TITLE_CHARACTERS:
        return words
    return words[:TITLE_CHARACTERS].rsplit(" ", 1)[0] + "…"


def touch(conversation: Conversation) -> None:
    """Note that the conversation changed, and tell its person's consoles."""
    Conversation.objects.filter(pk=conversation.pk).update(updated_at=Now())
    tell(UPDATED, conversation)


def _require_still_open(principal: Principal, model: str) -> None:
    """The model may have been kept to others since the conversation began."""
    rows = Deployment.objects.filter(project_id=principal.project_id, alias=model)
    if rows.exists() and not visible(rows, principal, Permission.CHAT_USE).exists():
        require_model(principal, model)


def _require_quiet(conversation: Conversation) -> None:
    for message in Message.objects.filter(conversation=conversation, state=MessageState.STREAMING):
        if not settle_if_interrupted(message):
            raise GenerationInProgress


def _add(conversation: Conversation, role: str, state: MessageState, **values: Any) -> Message:
    last = Message.objects.filter(conversation=conversation).aggregate(last=Max("position"))["last"]
    message = Message(
        conversation=conversation,
        organization_id=conversation.organization_id,
        role=role,
        state=state,
        position=0 if last is None else last + 1,
    )
    for name, value in values.items():
        setattr(message, name, value)
    message.save(force_insert=True)
    message.refresh_from_db(fields=["created_at"])
    return message


def _history(conversation: Conversation) -> tuple[ChatMessage, ...]:
    # Answers that failed before their first word say nothing; everything else that no newer answer stands
    # for is kept, or refused as a whole by the gateway when it is longer than the context.
    turns = Message.objects.filter(conversation=conversation, superseded=False).order_by("position")
    shown = [(turn.role, turn.content) for turn in turns]
    return tuple(ChatMessage(role, content) for role, content in shown if content)


def _valid(text: str, name: str, longest: int) -> str:
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise InvalidRequest(f"'{name}' must be text that is not blank.", param=name)
    if len(text) > longest:
        raise InvalidRequest(
            f"'{name}' has {len(text)} characters; at most {longest} are accepted.",
            param=name,
            code="string_above_max_length",
        )
    return text
