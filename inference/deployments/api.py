"""REST: deployments."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from inference.deployments import services
from inference.deployments.models import Deployment, DeploymentState
from kernel import ids
from kernel.api.pages import page, page_shape
from kernel.api.schema import PAGING
from kernel.api.strict import StrictSerializer
from kernel.errors import NotFound
from tenants.access.endpoint import OrganizationEndpoint
from tenants.access.object_endpoint import ObjectEndpoint
from tenants.access.permissions import Permission
from tenants.access.restrictable import visible


class DeploymentSerializer(serializers.Serializer[Any]):
    """An alias and what answers under it."""

    id = serializers.CharField()
    alias = serializers.CharField()
    state = serializers.ChoiceField(choices=DeploymentState.choices)
    model_version_id = serializers.CharField(allow_null=True)
    base_model = serializers.CharField()
    digest = serializers.CharField()
    error = serializers.CharField(allow_null=True)
    caches = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class CachingSerializer(StrictSerializer):
    """Whether gateways may keep a deployment's answers."""

    caches = serializers.BooleanField()


class CacheSerializer(serializers.Serializer[Any]):
    """Which generation of the organization's cache is in use, and since when."""

    object = serializers.CharField()
    generation = serializers.IntegerField()
    cleared_at = serializers.DateTimeField()


class DeploymentsView(ObjectEndpoint):
    """The project's deployments."""

    permission = Permission.DEPLOYMENT_READ

    @extend_schema(parameters=PAGING, responses=page_shape("DeploymentPage", DeploymentSerializer))
    def get(self, request: Request) -> Response:
        rows = visible(Deployment.objects.all(), self.principal, Permission.DEPLOYMENT_READ)
        return Response(page(rows, request.query_params, prefix="dep", show=_show))


class DeploymentView(ObjectEndpoint):
    """One deployment."""

    permission = Permission.DEPLOYMENT_READ

    @extend_schema(responses=DeploymentSerializer)
    def get(self, request: Request, deployment_id: str) -> Response:
        return Response(_show(find_deployment(self, deployment_id)))


class StopView(ObjectEndpoint):
    """Take a deployment out of service."""

    permission = Permission.DEPLOYMENT_WRITE

    @extend_schema(request=None, responses={200: DeploymentSerializer})
    def post(self, request: Request, deployment_id: str) -> Response:
        deployment = find_deployment(self, deployment_id)
        services.stop_deployment(deployment)
        deployment.refresh_from_db()
        return Response(_show(deployment))


class StartView(ObjectEndpoint):
    """Put a deployment back into service."""

    permission = Permission.DEPLOYMENT_WRITE

    @extend_schema(request=None, responses={200: DeploymentSerializer})
    def post(self, request: Request, deployment_id: str) -> Response:
        deployment = find_deployment(self, deployment_id)
        services.start_deployment(deployment)
        deployment.refresh_from_db()
        return Response(_show(deployment))


class DeploymentCacheView(ObjectEndpoint):
    """Let gateways keep a deployment's answers, or not."""

    permission = Permission.DEPLOYMENT_WRITE

    @extend_schema(request=CachingSerializer, responses={200: DeploymentSerializer})
    def put(self, request: Request, deployment_id: str) -> Response:
        deployment = find_deployment(self, deployment_id)
        body = CachingSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        services.let_cache(deployment, caches=body.validated_data["caches"])
        deployment.refresh_from_db()
        return Response(_show(deployment))


class CacheView(OrganizationEndpoint):
    """The organization's cache of answers."""

    permission = Permission.ORGANIZATION_WRITE

    @extend_schema(request=None, responses={200: CacheSerializer})
    def delete(self, request: Request) -> Response:
        cleared = services.clear_cache()
        return Response({"object": "cache", "generation": cleared.number, "cleared_at": cleared.cleared_at})


def find_deployment(endpoint: ObjectEndpoint, deployment_id: str) -> Deployment:
    """The deployment, as far as the caller may do with it what the address is for. Raises `NotFound`."""
    rows = Deployment.objects.filter(pk=ids.parse("dep", deployment_id))
    permission = endpoint.permission_for(endpoint.request.method or "")
    found: Deployment | None = visible(rows, endpoint.principal, permission).first()
    if found is None:
        raise NotFound(f"There is no deployment '{deployment_id}'.")
    return found


def _show(deployment: Deployment) -> dict[str, Any]:
    version_id = deployment.model_version_id
    return {
        "id": deployment.public_id,
        "alias": deployment.alias,
        "state": deployment.state,
        "model_version_id": ids.render("mv", version_id) if version_id else None,
        "base_model": deployment.base_model,
        "digest": deployment.digest,
        "error": deployment.error or None,
        "caches": deployment.caches,
        "created_at": deployment.created_at,
        "updated_at": deployment.updated_at,
    }
