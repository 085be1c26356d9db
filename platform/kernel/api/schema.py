"""How our REST views describe themselves in OpenAPI."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from kernel.api.pages import DEFAULT_LIMIT, MAX_LIMIT


def whole_number(name: str, description: str, *, low: int = 0, high: int | None = None) -> OpenApiParameter:
    """A query parameter that is a whole number in a range."""
    bounds = {"minimum": low} if high is None else {"minimum": low, "maximum": high}
    return OpenApiParameter(name, {"type": "integer", **bounds}, description=description)


# What every list by cursor takes.
PAGING = [
    OpenApiParameter("after", str, description="The id after which the page begins."),
    whole_number("limit", f"How many at most; {DEFAULT_LIMIT} unless told.", low=1, high=MAX_LIMIT),
    OpenApiParameter("order", str, enum=["asc", "desc"], description="Newest first (desc) unless told."),
]


class ErrorDetailSerializer(serializers.Serializer[Any]):
    """OpenAI's error object: the words, the kind, the parameter at fault, the code."""

    message = serializers.CharField()
    type = serializers.CharField()
    param = serializers.CharField(allow_null=True)
    code = serializers.CharField(allow_null=True)


class ErrorBodySerializer(serializers.Serializer[Any]):
    """The body of every refusal."""

    error = ErrorDetailSerializer()


class EndpointSchema(AutoSchema):
    """Names the operations of plural views `…_list`, since their pages are objects and not arrays.

    Every operation may be refused, with the one body that refusals have.
    """

    def get_operation_id(self) -> str:
        identifier = str(super().get_operation_id())
        one, plural = self.path.endswith("}"), type(self.view).__name__.endswith("sView")
        if self.method == "POST" and one:
            # OpenAI's administration API changes things so.
            return identifier.removesuffix("_create") + "_update"
        if plural and not one:
            renamed = {"GET": ("_retrieve", "_list"), "DELETE": ("_destroy", "_destroy_all")}
            before, after = renamed.get(self.method, ("", ""))
            return identifier.removesuffix(before) + after
        return identifier

    def _get_response_bodies(self, direction: Any = "response") -> Any:
        bodies = super()._get_response_bodies(direction)
        describe: Any = self._get_response_for_code
        refusal = OpenApiResponse(ErrorBodySerializer, "A refusal.")
        return {**bodies, "default": describe(refusal, "default", direction=direction)}
