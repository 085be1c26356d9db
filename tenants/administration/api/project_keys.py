"""REST: a project's API keys, as OpenAI's API has them: listed, looked at, deleted."""

from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Q, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from kernel import ids
from kernel.errors import InvalidRequest, NotFound
from tenants.access.endpoint import ProjectEndpoint
from tenants.access.models import ApiKey
from tenants.access.permissions import Permission
from tenants.access.powers import makers
from tenants.access.services import keys
from tenants.administration.api import project_shapes as shapes
from tenants.administration.api.cursors import Cut, cut_rows, ids_shape
from tenants.administration.api.people_shapes import DeletedSerializer
from tenants.organizations.models import Project

CUT = Cut()
ACCESS = "owner_project_access"
ANY = "any"
CHOICES = [shapes.ACTIVE, shapes.INACTIVE, ANY]


class ProjectKeysView(ProjectEndpoint):
    """The project's API keys."""

    permission = Permission.KEY_READ

    @extend_schema(
        parameters=[*CUT.parameters, OpenApiParameter(ACCESS, str, enum=CHOICES)],
        responses=ids_shape("ProjectKeyPage", shapes.ProjectKeySerializer),
    )
    def get(self, request: Request, project_id: str) -> Response:
        query, project = request.query_params, self.project
        rows = _with_access(_keys_of(project), project.pk, query.get(ACCESS, ANY))
        found = cut_rows(rows, query, CUT, prefix="key", show=shapes.show_project_keys)
        return Response(found.by_ids())


class ProjectKeyView(ProjectEndpoint):
    """One API key of the project."""

    permission: ClassVar = {"GET": Permission.KEY_READ, "DELETE": Permission.KEY_WRITE}

    @extend_schema(responses=shapes.ProjectKeySerializer)
    def get(self, request: Request, project_id: str, key_id: str) -> Response:
        return Response(shapes.show_project_keys([_find(key_id, self.project)])[0])

    @extend_schema(responses={200: DeletedSerializer})
    def delete(self, request: Request, project_id: str, key_id: str) -> Response:
        key = _find(key_id, self.project)
        if key.service_account_id is not None:
            raise InvalidRequest(
                "This key belongs to a service account: delete the service account, or revoke the key at "
                "/api/v1/api-keys.",
                param="key_id",
            )
        keys.revoke_api_key(key, self.principal)
        return Response({"object": "organization.project.api_key.deleted", "id": key_id, "deleted": True})


def _keys_of(project: Project) -> "QuerySet[ApiKey]":
    rows: QuerySet[ApiKey] = ApiKey.objects.filter(project=project, revoked_at=None)
    return rows.select_related("created_by", "service_account")


def _find(key_id: str, project: Project) -> ApiKey:
    key = _keys_of(project).filter(pk=ids.parse("key", key_id, param="key_id")).first()
    if key is None:
        raise NotFound(f"There is no API key '{key_id}' in this project.", param="key_id")
    return key


def _with_access(rows: "QuerySet[ApiKey]", project_id: UUID, wanted: Any) -> "QuerySet[ApiKey]":
    """The keys whose owners reach the project now, or those whose owners do not. Raises `InvalidRequest`."""
    if wanted not in CHOICES:
        raise InvalidRequest(f"'{ACCESS}' must be one of {', '.join(CHOICES)}.", param=ACCESS)
    if wanted == ANY:
        return rows
    people = rows.filter(service_account=None, created_by__isnull=False)
    found = makers(set(people.order_by().values_list("created_by_id", flat=True).distinct()))
    reaching = [user_id for user_id, maker in found.items() if maker.reaches(project_id)]
    active = Q(created_by__in=reaching) | Q(created_by=None) | Q(service_account__isnull=False)
    return rows.filter(active) if wanted == shapes.ACTIVE else rows.exclude(active)
