"""REST: the rates of a project's models, as OpenAI's API has them."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kernel.api.strict import StrictSerializer
from kernel.errors import InvalidRequest, NotFound
from kernel.ports.serving import models_of
from tenants.access.endpoint import ProjectEndpoint
from tenants.access.permissions import Permission
from tenants.administration.api.cursors import Cut, cut_items, ids_shape
from tenants.limits.kinds import BY_MODEL, MAX_VALUE, Kind, Scope, Subject, strictest
from tenants.limits.services.bounds import Caller, bounds_for, set_limit
from tenants.organizations.models import Project

CUT = Cut(default=100)
PREFIX = "rl-"
# What a model without a limit is shown with, since the published object wants a number.
UNLIMITED = 2**31 - 1
FIELDS = {
    "max_requests_per_1_minute": Kind.REQUESTS_PER_MINUTE,
    "max_tokens_per_1_minute": Kind.TOKENS_PER_MINUTE,
}
NOT_OFFERED = (
    "max_images_per_1_minute",
    "max_audio_megabytes_per_1_minute",
    "max_requests_per_1_day",
    "batch_1_day_max_input_tokens",
)


class RateLimitSerializer(serializers.Serializer[Any]):
    """The rates of one model in one project: the strictest that apply to everybody there."""

    object = serializers.CharField()
    id = serializers.CharField()
    model = serializers.CharField()
    max_requests_per_1_minute = serializers.IntegerField()
    max_tokens_per_1_minute = serializers.IntegerField()


class RateLimitChangeSerializer(StrictSerializer):
    """Other rates; what is left out stays."""

    max_requests_per_1_minute = serializers.IntegerField(required=False, min_value=0, max_value=MAX_VALUE)
    max_tokens_per_1_minute = serializers.IntegerField(required=False, min_value=0, max_value=MAX_VALUE)
    max_images_per_1_minute = serializers.IntegerField(required=False)
    max_audio_megabytes_per_1_minute = serializers.IntegerField(required=False)
    max_requests_per_1_day = serializers.IntegerField(required=False)
    batch_1_day_max_input_tokens = serializers.IntegerField(required=False)


class RateLimitsView(ProjectEndpoint):
    """The rates of the models that the project has."""

    permission = Permission.LIMIT_READ

    @extend_schema(
        parameters=CUT.parameters, responses=ids_shape("ProjectRateLimitPage", RateLimitSerializer)
    )
    def get(self, request: Request, project_id: str) -> Response:
        project = self.project
        items = [show_rates(project, model) for model in models_of(project.pk)]
        return Response(cut_items(items, request.query_params, CUT).by_ids())


class RateLimitView(ProjectEndpoint):
    """The rates of one model."""

    permission: ClassVar = Permission.LIMIT_WRITE

    @extend_schema(request=RateLimitChangeSerializer, responses={200: RateLimitSerializer})
    def post(self, request: Request, project_id: str, rate_limit_id: str) -> Response:
        project = self.project
        model = rate_limit_id.removeprefix(PREFIX)
        if not rate_limit_id.startswith(PREFIX) or model not in models_of(project.pk):
            raise NotFound(f"There is no rate limit '{rate_limit_id[:80]}'.", param="rate_limit_id")
        body = RateLimitChangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        for name in NOT_OFFERED:
            if name in body.validated_data:
                raise InvalidRequest(
                    f"'{name}' cannot be set: models here have requests and tokens per minute.", param=name
                )
        for name, kind in FIELDS.items():
            if name in body.validated_data:
                set_limit(Subject(Scope.PROJECT, project.pk, model), kind, body.validated_data[name])
        return Response(show_rates(project, model))


def show_rates(project: Project, model: str) -> dict[str, Any]:
    """The rates of a model as OpenAI's API shows them."""
    found = strictest(bounds_for(Caller(project_id=project.pk, model=model), BY_MODEL))
    rates = {name: found[kind].value if kind in found else UNLIMITED for name, kind in FIELDS.items()}
    return {"object": "project.rate_limit", "id": f"{PREFIX}{model}", "model": model, **rates}
