"""REST: data retention and model permissions, as OpenAI's API has them."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kernel.api.strict import StrictSerializer
from tenants.access.endpoint import OrganizationEndpoint, ProjectEndpoint
from tenants.access.permissions import Permission
from tenants.administration.api.people_shapes import DeletedSerializer
from tenants.organizations.models import Organization, Project
from tenants.organizations.services import policies


class RetentionSerializer(serializers.Serializer[Any]):
    """What is kept of requests."""

    object = serializers.CharField()
    type = serializers.CharField()


class RetentionRequestSerializer(StrictSerializer):
    """What shall be kept of requests."""

    retention_type = serializers.CharField(max_length=50)


class ModelPermissionsSerializer(serializers.Serializer[Any]):
    """Which models a project may use; an empty deny-list denies none."""

    object = serializers.CharField()
    mode = serializers.CharField()
    model_ids = serializers.ListField(child=serializers.CharField())


class ModelPermissionsRequestSerializer(StrictSerializer):
    """Which models a project shall be able to use."""

    mode = serializers.CharField(max_length=20)
    model_ids = serializers.ListField(
        child=serializers.CharField(max_length=policies.MAX_MODEL_CHARACTERS),
        max_length=policies.MAX_LISTED_MODELS,
    )


class OrganizationRetentionView(OrganizationEndpoint):
    """What is kept of the organization's requests."""

    permission: ClassVar = {"GET": Permission.POLICY_READ, "POST": Permission.POLICY_WRITE}

    @extend_schema(responses=RetentionSerializer)
    def get(self, request: Request) -> Response:
        organization = Organization.objects.get(pk=self.principal.organization_id)
        return Response({"object": "organization.data_retention", "type": organization.data_retention})

    @extend_schema(request=RetentionRequestSerializer, responses={200: RetentionSerializer})
    def post(self, request: Request) -> Response:
        organization = policies.change_retention(_read_retention(request))
        return Response({"object": "organization.data_retention", "type": organization.data_retention})


class ProjectRetentionView(ProjectEndpoint):
    """What is kept of the project's requests."""

    permission: ClassVar = {"GET": Permission.POLICY_READ, "POST": Permission.POLICY_WRITE}

    @extend_schema(responses=RetentionSerializer)
    def get(self, request: Request, project_id: str) -> Response:
        return Response({"object": "project.data_retention", "type": self.project.data_retention})

    @extend_schema(request=RetentionRequestSerializer, responses={200: RetentionSerializer})
    def post(self, request: Request, project_id: str) -> Response:
        project = self.project
        policies.change_project_retention(project, _read_retention(request))
        return Response({"object": "project.data_retention", "type": project.data_retention})


class ModelPermissionsView(ProjectEndpoint):
    """Which models the project may use, in chat and in fine-tuning."""

    permission: ClassVar = {
        "GET": Permission.POLICY_READ,
        "POST": Permission.POLICY_WRITE,
        "DELETE": Permission.POLICY_WRITE,
    }

    @extend_schema(responses=ModelPermissionsSerializer)
    def get(self, request: Request, project_id: str) -> Response:
        return Response(_show_models(self.project))

    @extend_schema(request=ModelPermissionsRequestSerializer, responses={200: ModelPermissionsSerializer})
    def post(self, request: Request, project_id: str) -> Response:
        project = self.project
        body = ModelPermissionsRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        policies.list_models(project, body.validated_data["mode"], body.validated_data["model_ids"])
        return Response(_show_models(project))

    @extend_schema(responses={200: DeletedSerializer})
    def delete(self, request: Request, project_id: str) -> Response:
        deleted = policies.unlist_models(self.project)
        return Response({"object": "project.model_permissions.deleted", "deleted": deleted})


def _read_retention(request: Request) -> str:
    body = RetentionRequestSerializer(data=request.data)
    body.is_valid(raise_exception=True)
    return str(body.validated_data["retention_type"])


def _show_models(project: Project) -> dict[str, Any]:
    return {
        "object": "project.model_permissions",
        "mode": project.model_list_mode or policies.DENY_LIST,
        "model_ids": project.model_list or [],
    }
