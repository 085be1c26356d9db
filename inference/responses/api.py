"""REST: stored responses, as OpenAI's API has them. Making one is the gateway's."""

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from inference.responses import services
from inference.responses.errors import NotStreamable
from inference.responses.models import StoredResponse
from kernel.api.pages import DEFAULT_LIMIT, MAX_LIMIT, read_whole_number
from kernel.api.schema import PAGING
from kernel.errors import InvalidRequest
from tenants.access.endpoint import Endpoint
from tenants.access.permissions import Permission


class OpenObjectField(serializers.DictField):
    """An object of OpenAI's, whichever of its kinds."""

    child = serializers.JSONField(allow_null=True)


class StoredResponseSerializer(serializers.Serializer[Any]):
    """A response as it was answered. It also repeats its request, field by field, as OpenAI publishes it."""

    id = serializers.CharField()
    object = serializers.CharField()
    created_at = serializers.IntegerField()
    completed_at = serializers.IntegerField(allow_null=True)
    status = serializers.ChoiceField(choices=["completed", "incomplete"])
    model = serializers.CharField()
    output = serializers.ListField(child=OpenObjectField())
    instructions = serializers.CharField(allow_null=True)
    metadata = serializers.DictField(child=serializers.CharField())
    previous_response_id = serializers.CharField(allow_null=True)
    store = serializers.BooleanField()
    usage = OpenObjectField()


class DeletedResponseSerializer(serializers.Serializer[Any]):
    """That a response is gone."""

    id = serializers.CharField()
    object = serializers.CharField()
    deleted = serializers.BooleanField()


class _ResponseEndpoint(Endpoint):
    def _find(self, response_id: str) -> StoredResponse:
        return services.find_response(self.principal, response_id)


class ResponseView(_ResponseEndpoint):
    """One stored response."""

    permission: ClassVar = {"GET": Permission.RESPONSE_READ, "DELETE": Permission.RESPONSE_WRITE}

    @extend_schema(
        parameters=[OpenApiParameter("stream", bool, description="Not at true: it is answered whole.")],
        responses=StoredResponseSerializer,
    )
    def get(self, request: Request, response_id: str) -> Response:
        if request.query_params.get("stream", "false") != "false":
            raise NotStreamable(
                "Only responses that are made in the background can be streamed later: leave 'stream' out.",
                param="stream",
            )
        return Response(services.read_response(self._find(response_id)))

    @extend_schema(responses=DeletedResponseSerializer)
    def delete(self, request: Request, response_id: str) -> Response:
        response = self._find(response_id)
        services.delete_response(response)
        return Response({"id": response_id, "object": "response", "deleted": True})


class ResponseItemsView(_ResponseEndpoint):
    """What was asked."""

    permission = Permission.RESPONSE_READ

    @extend_schema(
        parameters=PAGING,
        responses=inline_serializer(
            "ResponseItemPage",
            {
                "object": serializers.CharField(),
                "data": serializers.ListField(child=OpenObjectField()),
                "has_more": serializers.BooleanField(),
                "first_id": serializers.CharField(),
                "last_id": serializers.CharField(),
            },
        ),
    )
    def get(self, request: Request, response_id: str) -> Response:
        query = request.query_params
        limit = read_whole_number(query, "limit", default=DEFAULT_LIMIT, low=1, high=MAX_LIMIT)
        order = query.get("order", "desc")
        if order not in {"asc", "desc"}:
            raise InvalidRequest("'order' must be 'asc' or 'desc'.", param="order")
        items = services.read_items(self._find(response_id))
        after = query.get("after") or None
        return Response(services.page_of(items, after=after, limit=limit, ascending=order == "asc"))


class ResponseCancelView(_ResponseEndpoint):
    """End a response that is made in the background."""

    permission = Permission.RESPONSE_WRITE

    @extend_schema(request=None, responses={200: StoredResponseSerializer})
    def post(self, request: Request, response_id: str) -> Response:
        services.cancel_response(self._find(response_id))
