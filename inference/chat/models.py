"""Conversations with deployed models, and their messages."""

from typing import Any

from django.db import models
from django.db.models.functions import Now

from kernel import ids
from kernel.crypto.fields import open_text, seal_text
from kernel.tenancy.models import TenantOwned
from tenants.organizations.models import ProjectOwned

TITLE = "chat.conversation.title"
CONTENT = "chat.message.content"


class Conversation(ProjectOwned):
    """One person's conversation; nobody else sees it. `model` is the deployment's alias.

    The title is made of the first message's words, so it is sealed as the messages are.
    """

    model = models.CharField(max_length=250)
    sealed_title = models.BinaryField(default=b"")
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

    @property
    def title(self) -> str:
        """The title in clear, empty before the first message."""
        if not self.sealed_title:
            return ""
        return open_text(self.organization_id, self.sealed_title, purpose=TITLE, row_id=self.id)

    @title.setter
    def title(self, text: str) -> None:
        self.sealed_title = (
            seal_text(self.organization_id, text, purpose=TITLE, row_id=self.id) if text else b""
        )


class MessageState(models.TextChoices):
    """How far a message is. Only an assistant's is ever anything but complete."""

    COMPLETE = "complete"
    STREAMING = "streaming"
    STOPPED = "stopped"
    FAILED = "failed"


class Message(TenantOwned):
    """One turn of a conversation. `digest` names what answered; `error` is OpenAI's error object or null."""

    ROLES = [("user", "user"), ("assistant", "assistant")]

    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, db_constraint=False, related_name="messages"
    )
    position = models.PositiveIntegerField()
    role = models.CharField(max_length=20, choices=ROLES)
    sealed_content = models.BinaryField(default=b"")
    state = models.CharField(max_length=20, choices=MessageState.choices)
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
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render("msg", self.id)

    @property
    def content(self) -> str:
        """The content in clear."""
        if not self.sealed_content:
            return ""
        return open_text(self.organization_id, self.sealed_content, purpose=CONTENT, row_id=self.id)

    @content.setter
    def content(self, text: str) -> None:
        self.sealed_content = (
            seal_text(self.organization_id, text, purpose=CONTENT, row_id=self.id) if text else b""
        )
