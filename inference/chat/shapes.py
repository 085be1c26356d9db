"""Conversations and messages as REST and the socket show them."""

from typing import Any

from inference.chat.models import Conversation, Message


def show_conversation(conversation: Conversation) -> dict[str, Any]:
    """A conversation without its messages."""
    return {
        "id": conversation.public_id,
        "title": conversation.title,
        "model": conversation.model,
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at,
    }


def show_message(message: Message) -> dict[str, Any]:
    """A message, its content in clear."""
    return {
        "id": message.public_id,
        "role": message.role,
        "content": message.content,
        "state": message.state,
        "superseded": message.superseded,
        "model": message.model or None,
        "digest": message.digest or None,
        "finish_reason": message.finish_reason or None,
        "usage": _usage(message),
        "error": message.error,
        "created_at": message.created_at,
    }


def _usage(message: Message) -> dict[str, int] | None:
    prompt, completion = message.prompt_tokens, message.completion_tokens
    if prompt is None or completion is None:
        return None
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
