"""REST: conversations."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from inference.chat import services
from inference.chat.models import Conversation, Message, MessageState
from inference.chat.shapes import show_conversation, show_message
from kernel import ids
from kernel.api.pages import page, page_shape
from kernel.api.schema import PAGING, ErrorDetailSerializer
from tenants.access.object_endpoint import ObjectEndpoint
from tenants.access.permissions import Permission


class MessageUsageSerializer(serializers.Serializer[Any]):
    """The tokens of one answer."""

    prompt_tokens = serializers.IntegerField()
    completion_tokens = serializers.IntegerField()
    total_tokens = serializers.IntegerField()


class MessageSerializer(serializers.Serializer[Any]):
    """One turn of a conversation."""

    id = serializers.CharField()
    role = serializers.ChoiceField(choices=Message.ROLES)
    content = serializers.CharField()
    state = serializers.ChoiceField(choices=MessageState.choices)
    superseded = serializers.BooleanField()
    model = serializers.CharField(allow_null=True)
    digest = serializers.CharField(allow_null=True)
    finish_reason = serializers.CharField(allow_null=True)
    usage = MessageUsageSerializer(allow_null=True)
    error = ErrorDetailSerializer(allow_null=True)
    created_at = serializers.DateTimeField()


class ConversationSerializer(serializers.Serializer[Any]):
    """A conversation; its messages come when it is asked for alone."""

    id = serializers.CharField()
    title = serializers.CharField()
    model = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    messages = MessageSerializer(many=True, required=False)


class NewConversationSerializer(serializers.Serializer[Any]):
    """Which model to talk to."""

    model = serializers.CharField(max_length=250)


class ConversationChangeSerializer(serializers.Serializer[Any]):
    """What to change."""

    title = serializers.CharField(required=False, max_length=services.MAX_TITLE_CHARACTERS)
    model = serializers.CharField(required=False, max_length=250)


class ConversationsView(ObjectEndpoint):
    """The person's conversations in the project."""

    permission = Permission.CHAT_USE

    @extend_schema(parameters=PAGING, responses=page_shape("ConversationPage", ConversationSerializer))
    def get(self, request: Request) -> Response:
        rows = services.conversations_of(self.principal)
        return Response(page(rows, request.query_params, prefix="conv", show=show_conversation))

    @extend_schema(request=NewConversationSerializer, responses={201: ConversationSerializer})
    def post(self, request: Request) -> Response:
        body = NewConversationSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        conversation = services.start_conversation(self.principal, body.validated_data["model"])
        return Response(show_conversation(conversation), status=201)


class ConversationView(ObjectEndpoint):
    """One conversation with its messages."""

    permission = Permission.CHAT_USE

    @extend_schema(responses=ConversationSerializer)
    def get(self, request: Request, conversation_id: str) -> Response:
        conversation = self._find(conversation_id)
        messages = [show_message(message) for message in services.read_messages(conversation)]
        return Response({**show_conversation(conversation), "messages": messages})

    @extend_schema(request=ConversationChangeSerializer, responses=ConversationSerializer)
    def patch(self, request: Request, conversation_id: str) -> Response:
        body = ConversationChangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        services.change_conversation(
            self._find(conversation_id, lock=True), self.principal, body.validated_data
        )
        return Response(show_conversation(self._find(conversation_id)))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, conversation_id: str) -> Response:
        services.delete_conversation(self._find(conversation_id, lock=True))
        return Response(status=204)

    def _find(self, conversation_id: str, *, lock: bool = False) -> Conversation:
        return services.find_conversation(self.principal, ids.parse("conv", conversation_id), lock=lock)
