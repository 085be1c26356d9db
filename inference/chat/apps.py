"""Chat as a Django app."""

from django.apps import AppConfig


class ChatConfig(AppConfig):
    """Filled in by its models."""

    name = "inference.chat"
    label = "chat"
