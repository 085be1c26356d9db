"""REST: base models and model versions."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kernel import ids
from kernel.api.pages import page, page_shape
from kernel.api.schema import PAGING
from kernel.errors import NotFound
from tenants.access.endpoint import Endpoint
from tenants.access.object_endpoint import ObjectEndpoint
from tenants.access.permissions import Permission
from tenants.access.restrictable import visible
from training.registry.models import BaseModel, ModelVersion


class BaseModelSerializer(serializers.Serializer[Any]):
    """A model that can be fine-tuned."""

    name = serializers.CharField()
    architecture = serializers.CharField()
    parameters = serializers.IntegerField()
    context_tokens = serializers.IntegerField()
    digest = serializers.CharField()


class BaseModelListSerializer(serializers.Serializer[Any]):
    """All of them."""

    data = BaseModelSerializer(many=True)  # type: ignore[assignment]


class LineageSerializer(serializers.Serializer[Any]):
    """What a model version was made of."""

    dataset_version_id = serializers.CharField(allow_null=True)
    file_id = serializers.CharField()
    base_model_digest = serializers.CharField()
    seed = serializers.IntegerField()
    code_version = serializers.CharField()
    hyperparameters = serializers.DictField(child=serializers.FloatField())


class ModelVersionSerializer(serializers.Serializer[Any]):
    """What a fine-tuning job made."""

    id = serializers.CharField()
    name = serializers.CharField()
    base_model = serializers.CharField()
    job_id = serializers.CharField(allow_null=True)
    digest = serializers.CharField()
    bytes = serializers.IntegerField()
    metrics = serializers.DictField(child=serializers.FloatField())
    created_at = serializers.DateTimeField()
    lineage = LineageSerializer()


class BaseModelsView(Endpoint):
    """The models that can be fine-tuned: the same for every organization."""

    permission = Permission.MODEL_READ

    @extend_schema(responses=BaseModelListSerializer)
    def get(self, request: Request) -> Response:
        return Response({"data": [_show_base(model) for model in BaseModel.objects.order_by("name")]})


class ModelVersionsView(ObjectEndpoint):
    """The project's model versions."""

    permission = Permission.MODEL_READ

    @extend_schema(parameters=PAGING, responses=page_shape("ModelVersionPage", ModelVersionSerializer))
    def get(self, request: Request) -> Response:
        rows = ModelVersion.objects.select_related("base_model")
        versions = visible(rows, self.principal, Permission.MODEL_READ)
        return Response(page(versions, request.query_params, prefix="mv", show=_show_version))


class ModelVersionView(ObjectEndpoint):
    """One model version."""

    permission = Permission.MODEL_READ

    @extend_schema(responses=ModelVersionSerializer)
    def get(self, request: Request, version_id: str) -> Response:
        rows = ModelVersion.objects.select_related("base_model").filter(pk=ids.parse("mv", version_id))
        version = visible(rows, self.principal, Permission.MODEL_READ).first()
        if version is None:
            raise NotFound(f"There is no model version '{version_id}'.")
        return Response(_show_version(version))


def _show_base(model: BaseModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "architecture": model.architecture,
        "parameters": model.parameters,
        "context_tokens": model.context_tokens,
        "digest": model.digest,
    }


def _show_version(version: ModelVersion) -> dict[str, Any]:
    return {
        "id": version.public_id,
        "name": version.name,
        "base_model": version.base_model.name,
        "job_id": ids.render("ftjob", version.job_id) if version.job_id else None,
        "digest": version.digest,
        "bytes": version.bytes,
        "metrics": version.metrics,
        "created_at": version.created_at,
        "lineage": version.lineage,
    }
