"""What chat keeps outside its rows: answers on their way to the browser; and in them: what people wrote."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from inference.chat import streams
from inference.chat.models import Conversation, Message, MessageState
from kernel import ids
from kernel.crypto.errors import KeyDestroyed
from kernel.ports.erasure import Beat, Fate, Keeper, Subject, Trace, keeps
from kernel.tenancy.scope import acting_for
from tenants.organizations.services import holds

BATCH = 200


@keeps
class AnswersUnderWay(Keeper):
    """The streams of answers, the last of which are kept for an hour."""

    name = "answers"

    def find(self, subject: Subject, found: Sequence[Trace], beat: Beat) -> Iterator[Trace]:
        """A person's."""
        if subject.person is None:
            return
        with acting_for(subject.organization_id):
            count = self._recent(subject).count()
        if count:
            yield Trace(kind="streams of answers", place="valkey", count=count, fate=Fate.ERASED)

    def erase(self, subject: Subject, traces: Sequence[Trace], beat: Beat) -> None:
        """Stop the answers and drop their streams. Raises `redis.RedisError`."""
        with acting_for(subject.organization_id):
            recent = list(self._recent(subject).values_list("pk", flat=True))
        for message_id in recent:
            streams.ask_to_stop(message_id)
            streams.drop_stream(message_id)

    def _recent(self, subject: Subject) -> "QuerySet[Message]":
        kept = Now() - timedelta(seconds=streams.KEEP_SECONDS)
        rows: QuerySet[Message] = Message.objects.filter(
            Q(state=MessageState.STREAMING) | Q(created_at__gte=kept)
        )
        if subject.person is not None:
            rows = rows.filter(conversation__created_by_id=subject.person)
        return rows


@keeps
class WordsInConversations(Keeper):
    """Other people's conversations in which the subject is named."""

    name = "conversations"

    def find(self, subject: Subject, found: Sequence[Trace], beat: Beat) -> Iterator[Trace]:
        """Every conversation with a message or title that holds one of the words."""
        if not subject.words:
            return
        named: dict[UUID, int] = {}
        for conversation_id in self._naming(subject, beat):
            named[conversation_id] = named.get(conversation_id, 0) + 1
        for conversation_id, count in named.items():
            yield Trace(
                kind="messages",
                place=ids.render("conv", conversation_id),
                count=count,
                fate=Fate.CLEARED,
                because="The messages that name the person lose their text; the conversation stays.",
            )

    def erase(self, subject: Subject, traces: Sequence[Trace], beat: Beat) -> None:
        """Take the text out of what holds one of the words. Raises `UnderLegalHold`."""
        for trace in traces:
            beat()
            with acting_for(subject.organization_id):
                conversation = Conversation.objects.filter(pk=ids.parse("conv", trace.place)).first()
                if conversation is None:
                    continue
                if conversation.created_by_id is not None:
                    holds.require_free(people=[conversation.created_by_id])
                for message in Message.objects.filter(conversation=conversation):
                    if subject.is_named_in(opened(message, "content")):
                        Message.objects.filter(pk=message.pk).update(sealed_content=b"")
                        streams.drop_stream(message.pk)
                if subject.is_named_in(opened(conversation, "title")):
                    Conversation.objects.filter(pk=conversation.pk).update(sealed_title=b"")

    def _naming(self, subject: Subject, beat: Beat) -> Iterator[UUID]:
        for model, attribute, owner in (
            (Message, "content", "conversation_id"),
            (Conversation, "title", "pk"),
        ):
            after: UUID | None = UUID(int=0)
            while after is not None:
                beat()
                named, after = self._look_through(subject, (model, attribute, owner), after)
                yield from named

    def _look_through(
        self, subject: Subject, where: tuple[type[Any], str, str], after: UUID
    ) -> tuple[list[UUID], UUID | None]:
        """The conversations of a batch that name the subject, and the last row's id, None at the end."""
        model, attribute, owner = where
        with acting_for(subject.organization_id):
            rows = list(model.objects.filter(pk__gt=after).order_by("pk")[:BATCH])
            named = [getattr(row, owner) for row in rows if subject.is_named_in(opened(row, attribute))]
        return named, rows[-1].pk if rows else None


def opened(row: Message | Conversation, attribute: str) -> str:
    """The text of a row; what a destroyed key sealed holds nobody any more."""
    try:
        text: str = getattr(row, attribute)
    except KeyDestroyed:
        return ""
    return text
