"""What is told of conversations; their person's consoles read them again."""

from inference.chat.models import Conversation
from kernel.events.outbox import Happening, emit

CREATED = "inference.conversation.created.v1"
UPDATED = "inference.conversation.updated.v1"
DELETED = "inference.conversation.deleted.v1"


def tell(name: str, conversation: Conversation) -> None:
    """Say what happened to a conversation, in the transaction in which it happens."""
    emit(
        Happening(
            name=name,
            aggregate_id=conversation.pk,
            project_id=conversation.project_id,
            resource="conversation",
            resource_id=conversation.public_id,
        )
    )
