"""REST: conversations."""

from functools import partial
from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from inference.chat import services
from inference.chat.event_stream import OVER, EventStream, events_of, read_number, require_room
from inference.chat.models import Conversation, Message, MessageState
from inference.chat.shapes import show_conversation, show_message
from inference.chat.visitors import may_talk
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


class MessageStreamView(ObjectEndpoint):
    """An answer as it is written, as server-sent events, from any token on."""

    permission = Permission.CHAT_USE

    @extend_schema(
        operation_id="v1_conversations_messages_stream",
        parameters=[
            OpenApiParameter("after", str, description="The number of the last token seen; 0 unless told."),
            OpenApiParameter(
                "Last-Event-ID",
                str,
                OpenApiParameter.HEADER,
                description="What a browser sends that lost the connection; counts more than `after`.",
            ),
        ],
        responses={(200, "text/event-stream"): str, 204: None},
    )
    def get(self, request: Request, conversation_id: str, message_id: str) -> HttpResponseBase:
        conversation = services.find_conversation(self.principal, ids.parse("conv", conversation_id))
        message = services.follow_answer(conversation, ids.parse("msg", message_id))
        last = request.headers.get("Last-Event-ID", "")
        if last == OVER:
            return HttpResponse(status=204)
        after = read_number(last, "Last-Event-ID") if last else _after(request)
        person = self.principal.user_id or conversation.pk
        require_room(person)
        may_see = partial(may_talk, request._request.session.session_key, conversation.project_id)
        return EventStream(
            events_of(conversation.organization_id, message.pk, after, person=person, may_see=may_see)
        )


def _after(request: Request) -> int:
    return read_number(request.query_params.get("after", "0"), "after")


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
