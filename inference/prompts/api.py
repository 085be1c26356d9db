"""REST: prompt templates and their versions."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from inference.prompts import services
from inference.prompts.models import PromptTemplate, PromptVersion
from kernel.api.pages import page, page_shape
from kernel.api.schema import PAGING
from kernel.api.strict import StrictSerializer
from tenants.access.endpoint import Endpoint
from tenants.access.permissions import Permission

_ROLES = ["system", "developer", "user", "assistant"]


class PromptMessageSerializer(serializers.Serializer[Any]):
    """A message with `{{ variables }}`."""

    role = serializers.ChoiceField(choices=_ROLES)
    content = serializers.CharField()


class PromptSerializer(serializers.Serializer[Any]):
    """A prompt template; `version` is its newest."""

    object = serializers.CharField()
    id = serializers.CharField()
    name = serializers.CharField()
    version = serializers.IntegerField()
    created_at = serializers.DateTimeField()


class PromptVersionSerializer(serializers.Serializer[Any]):
    """A version, which never changes; `variables` are the names that callers fill."""

    object = serializers.CharField()
    prompt_id = serializers.CharField()
    version = serializers.IntegerField()
    messages = PromptMessageSerializer(many=True)
    variables = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()


class MessagesField(serializers.JSONField):
    """Messages as they come: the gateway's own reader judges them, with the names of the places at fault."""


class NewPromptSerializer(StrictSerializer):
    """What a template is made of."""

    name = serializers.CharField(max_length=100)
    messages = MessagesField()


class NewVersionSerializer(StrictSerializer):
    """What a version is made of."""

    messages = MessagesField()


class PromptsView(Endpoint):
    """Make a prompt template, list them. They are shown to those who may change deployments."""

    permission = Permission.DEPLOYMENT_WRITE

    @extend_schema(parameters=PAGING, responses=page_shape("PromptPage", PromptSerializer))
    def get(self, request: Request) -> Response:
        rows = services.templates_of(self.principal.project_id)
        return Response(page(rows, request.query_params, prefix=PromptTemplate.prefix, show=_show))

    @extend_schema(request=NewPromptSerializer, responses={200: PromptSerializer})
    def post(self, request: Request) -> Response:
        body = NewPromptSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        project_id, by = self.principal.project_id, self.principal.user_id
        made = services.create_template(project_id, **body.validated_data, by=by)
        return Response(_show(services.find_template(project_id, made.public_id)))


class PromptView(Endpoint):
    """One prompt template."""

    permission = Permission.DEPLOYMENT_WRITE

    @extend_schema(responses=PromptSerializer)
    def get(self, request: Request, prompt_id: str) -> Response:
        return Response(_show(services.find_template(self.principal.project_id, prompt_id)))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, prompt_id: str) -> Response:
        services.delete_template(services.find_template(self.principal.project_id, prompt_id))
        return Response(status=204)


class PromptVersionsView(Endpoint):
    """Make the next version of a prompt template."""

    permission = Permission.DEPLOYMENT_WRITE

    @extend_schema(request=NewVersionSerializer, responses={200: PromptVersionSerializer})
    def post(self, request: Request, prompt_id: str) -> Response:
        body = NewVersionSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        template = services.find_template(self.principal.project_id, prompt_id)
        version = services.add_version(template, body.validated_data["messages"])
        version.refresh_from_db()
        return Response(_show_version(template, version))


class PromptVersionView(Endpoint):
    """One version: its number counts from 1."""

    permission = Permission.DEPLOYMENT_WRITE

    @extend_schema(responses=PromptVersionSerializer)
    def get(self, request: Request, prompt_id: str, version: str) -> Response:
        template = services.find_template(self.principal.project_id, prompt_id)
        return Response(_show_version(template, services.find_version(template, version)))


def _show(template: Any) -> dict[str, Any]:
    return {
        "object": "prompt",
        "id": template.public_id,
        "name": template.name,
        "version": template.latest,
        "created_at": template.created_at,
    }


def _show_version(template: PromptTemplate, version: PromptVersion) -> dict[str, Any]:
    text = services.text_of(version)
    return {
        "object": "prompt.version",
        "prompt_id": template.public_id,
        "version": version.number,
        "messages": text.messages,
        "variables": text.variables,
        "created_at": version.created_at,
    }
