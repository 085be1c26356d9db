"""REST: the organization's projects, as OpenAI's API has them."""

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kernel.api.strict import StrictSerializer
from kernel.errors import InvalidRequest, NotFound
from tenants.access.endpoint import OrganizationEndpoint, ProjectEndpoint
from tenants.access.permissions import Permission
from tenants.access.standing import visible_projects
from tenants.administration.api import project_shapes as shapes
from tenants.administration.api.cursors import Cut, cut_rows, ids_shape
from tenants.organizations.models import Project
from tenants.organizations.services import projects

CUT = Cut()
INCLUDE_ARCHIVED = OpenApiParameter(
    "include_archived", bool, description="Archived ones too; false unless told."
)
# Where data lies is the deployment's to say, not the project's.
RESIDENCY = "GLOBAL"


class ProjectRequestSerializer(StrictSerializer):
    """A project to be; data residency and customer-managed keys by project are not offered."""

    name = serializers.CharField(max_length=projects.MAX_NAME_CHARACTERS)
    residency = serializers.CharField(required=False, allow_null=True)
    external_key_id = serializers.CharField(required=False, allow_null=True)


class ProjectChangeSerializer(StrictSerializer):
    """Another name for a project."""

    name = serializers.CharField(max_length=projects.MAX_NAME_CHARACTERS, required=False, allow_null=True)
    external_key_id = serializers.CharField(required=False, allow_null=True)


class ProjectsView(OrganizationEndpoint):
    """The organization's projects."""

    permission: ClassVar = {"GET": Permission.PROJECT_READ, "POST": Permission.PROJECT_WRITE}

    @extend_schema(
        parameters=[*CUT.parameters, INCLUDE_ARCHIVED],
        responses=ids_shape("ProjectPage", shapes.ProjectSerializer),
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        rows = visible_projects(self.principal)
        if not read_flag(query, "include_archived"):
            rows = rows.filter(archived_at=None)
        found = cut_rows(rows, query, CUT, prefix="proj", show=shapes.show_projects)
        return Response(found.by_ids())

    @extend_schema(request=ProjectRequestSerializer, responses={200: shapes.ProjectSerializer})
    def post(self, request: Request) -> Response:
        body = ProjectRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        _refuse_what_is_not_offered(body.validated_data)
        return Response(shapes.show_project(projects.start_project(body.validated_data["name"])))


class ProjectView(ProjectEndpoint):
    """One project."""

    permission: ClassVar = {"GET": Permission.PROJECT_READ, "POST": Permission.PROJECT_WRITE}

    @extend_schema(responses=shapes.ProjectSerializer)
    def get(self, request: Request, project_id: str) -> Response:
        return Response(shapes.show_project(_visible(self)))

    @extend_schema(request=ProjectChangeSerializer, responses={200: shapes.ProjectSerializer})
    def post(self, request: Request, project_id: str) -> Response:
        project = _visible(self)
        body = ProjectChangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        _refuse_what_is_not_offered(body.validated_data)
        if (name := body.validated_data.get("name")) is not None:
            projects.rename_project(project, name)
        return Response(shapes.show_project(project))


class ProjectArchiveView(ProjectEndpoint):
    """Archive a project: its keys stop at once, nobody works in it any more, nothing is deleted."""

    permission = Permission.PROJECT_WRITE

    @extend_schema(request=None, responses={200: shapes.ProjectSerializer})
    def post(self, request: Request, project_id: str) -> Response:
        project = _visible(self)
        projects.archive_project(project)
        return Response(shapes.show_project(project))


def read_flag(query: Any, name: str) -> bool:
    """A query parameter that is `true` or `false`; false unless given. Raises `InvalidRequest`."""
    text = query.get(name, "false").lower()
    if text not in {"true", "false"}:
        raise InvalidRequest(f"'{name}' must be true or false.", param=name)
    return bool(text == "true")


def _visible(view: ProjectEndpoint) -> Project:
    """The project that the address names, if the caller may know of it. Raises `NotFound`."""
    found = visible_projects(view.principal).filter(pk=view.project.pk).first()
    if found is None:
        raise NotFound(f"There is no project '{view.project.public_id}'.", param="project_id")
    return found


def _refuse_what_is_not_offered(body: dict[str, Any]) -> None:
    if body.get("residency") not in {None, RESIDENCY}:
        raise InvalidRequest(
            f"'residency' can only be {RESIDENCY}: data lies where this platform runs.", param="residency"
        )
    if body.get("external_key_id") is not None:
        raise InvalidRequest(
            "'external_key_id' is not offered: the platform's keyring encrypts every project.",
            param="external_key_id",
        )
