"""Addresses of conversations."""

from django.urls import path

from inference.chat import api

urlpatterns = [
    path("api/v1/conversations", api.ConversationsView.as_view()),
    path("api/v1/conversations/<str:conversation_id>", api.ConversationView.as_view()),
    path(
        "api/v1/conversations/<str:conversation_id>/messages/<str:message_id>/stream",
        api.MessageStreamView.as_view(),
    ),
]
