"""Conversations with deployed models, and their messages."""

from typing import Any, ClassVar

from django.db import models
from django.db.models.functions import Now

from kernel import ids
from kernel.crypto.columns import OpenedText, SealedColumn
from kernel.ports.holdings import Erasure, Holding, Keeping
from kernel.tenancy.models import TenantOwned
from tenants.organizations.models import ProjectOwned


class Conversation(ProjectOwned):
    """One person's conversation; nobody else sees it. `model` is the deployment's alias.

    The title is made of the first message's words, so it is sealed as the messages are: under the
    person's own key.
    """

    holding: ClassVar[Holding] = Holding(
        kind="conversations",
        erased=Erasure.SHREDDED,
        person="created_by_id",
        kept=Keeping(since="updated_at"),
    )

    model = models.CharField(max_length=250)
    sealed_title = SealedColumn(default=b"", purpose="chat.conversation.title", person="created_by_id")
    title = OpenedText("sealed_title")
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(
                fields=["organization_id", "project", "created_by", "id"], name="conversation_by_person"
            )
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render("conv", self.id)


class MessageState(models.TextChoices):
    """How far a message is. Only an assistant's is ever anything but complete."""

    COMPLETE = "complete"
    STREAMING = "streaming"
    STOPPED = "stopped"
    FAILED = "failed"


class Message(TenantOwned):
    """One turn of a conversation. `digest` names what answered; `error` is OpenAI's error object or null.

    A `superseded` answer was generated anew: the message after it stands in its place. `client_id` is what
    the browser called a message that it sent, so that it can be sent again without being there twice.
    """

    holding: ClassVar[Holding] = Holding(
        kind="messages", erased=Erasure.SHREDDED, person="conversation__created_by_id"
    )

    ROLES = [("user", "user"), ("assistant", "assistant")]

    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, db_constraint=False, related_name="messages"
    )
    position = models.PositiveIntegerField()
    role = models.CharField(max_length=20, choices=ROLES)
    sealed_content = SealedColumn(
        default=b"", purpose="chat.message.content", person="conversation.created_by_id"
    )
    content = OpenedText("sealed_content")
    state = models.CharField(max_length=20, choices=MessageState.choices)
    superseded = models.BooleanField(default=False, db_default=False)
    client_id = models.CharField(max_length=100, blank=True, default="", db_default="")
    model = models.CharField(max_length=250, blank=True)
    digest = models.CharField(max_length=64, blank=True)
    finish_reason = models.CharField(max_length=20, blank=True)
    prompt_tokens = models.BigIntegerField(null=True)
    completion_tokens = models.BigIntegerField(null=True)
    error: "models.JSONField[Any, Any]" = models.JSONField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id", "conversation", "position"], name="message_position_once"
            ),
            models.UniqueConstraint(
                fields=["organization_id", "conversation"],
                condition=models.Q(state="streaming"),
                name="message_streaming_one_at_a_time",
            ),
            models.UniqueConstraint(
                fields=["organization_id", "conversation", "client_id"],
                condition=~models.Q(client_id=""),
                name="message_sent_once",
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render("msg", self.id)
