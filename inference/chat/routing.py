"""Addresses of the sockets."""

from typing import Any

from django.urls import path

from inference.chat.consumers import ChatConsumer, EventsConsumer
from inference.gateway.contract import ChatCompleter


def websocket_urlpatterns(gateway: ChatCompleter) -> list[Any]:
    """What `URLRouter` takes; answers are generated through `gateway`, in this process."""
    return [
        path("ws/events", EventsConsumer.as_asgi()),
        path("ws/chat/<str:conversation_id>", ChatConsumer.as_asgi(gateway=gateway)),
    ]
