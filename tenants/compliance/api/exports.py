"""REST: copies of what an organization holds, of all of it, of a member, of oneself."""

from typing import Any, ClassVar

from django.http import StreamingHttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kernel import ids
from kernel.api.pages import page, page_shape
from kernel.api.schema import PAGING
from kernel.api.strict import StrictSerializer
from kernel.errors import PermissionDenied
from tenants.access.assurance import require_recent_sign_in
from tenants.access.endpoint import Endpoint, OrganizationEndpoint
from tenants.access.permissions import Permission
from tenants.access.services.members import find_member
from tenants.compliance.models import Export, ExportState
from tenants.compliance.services import exports

STATES = ExportState.values


class ExportSerializer(serializers.Serializer[Any]):
    """A copy, and how far it is; `user_id` names whom it is about, null for the whole organization."""

    id = serializers.CharField()
    object = serializers.CharField()
    user_id = serializers.CharField(allow_null=True)
    state = serializers.ChoiceField(choices=STATES)
    rows_done = serializers.IntegerField()
    rows_total = serializers.IntegerField()
    bytes = serializers.IntegerField()
    sha256 = serializers.CharField()
    fault = serializers.CharField()
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)


class ExportRequestSerializer(StrictSerializer):
    """Of whom a copy is wanted: of a member, or without one of the whole organization."""

    user_id = serializers.CharField(max_length=60, required=False)


class ExportsView(OrganizationEndpoint):
    """The organization's copies of itself and of its members."""

    permission: ClassVar = {"GET": Permission.COMPLIANCE_READ, "POST": Permission.COMPLIANCE_WRITE}
    requires_recent_sign_in = True

    @extend_schema(parameters=PAGING, responses=page_shape("ExportPage", ExportSerializer))
    def get(self, request: Request) -> Response:
        return Response(
            page(exports.of_organization(), request.query_params, prefix="export", show=show_export)
        )

    @extend_schema(request=ExportRequestSerializer, responses={202: ExportSerializer})
    def post(self, request: Request) -> Response:
        body = ExportRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        by = self.principal.user_id
        if user_id := body.validated_data.get("user_id"):
            export = exports.export_member(find_member(user_id), by=by)
        else:
            export = exports.export_organization(by=by)
        return Response(show_export(export), status=202)


class ExportView(OrganizationEndpoint):
    """One copy; deleting it stops it, or removes its file."""

    permission: ClassVar = {"GET": Permission.COMPLIANCE_READ, "DELETE": Permission.COMPLIANCE_WRITE}

    @extend_schema(responses=ExportSerializer)
    def get(self, request: Request, export_id: str) -> Response:
        return Response(show_export(exports.find_export(exports.of_organization(), export_id)))

    @extend_schema(responses={200: ExportSerializer})
    def delete(self, request: Request, export_id: str) -> Response:
        export = exports.find_export(exports.of_organization(), export_id)
        return Response(show_export(exports.cancel_export(export)))


class ExportFileView(OrganizationEndpoint):
    """The file of a copy, decrypted as it is sent."""

    permission = Permission.COMPLIANCE_WRITE
    scoped = False

    @extend_schema(responses={(200, "application/zip"): bytes})
    def get(self, request: Request, export_id: str) -> Any:
        if self.principal.key_id is None:
            require_recent_sign_in(request._request)
        with self.scope():
            return _file_of(exports.find_export(exports.of_organization(), export_id))


class OwnEndpoint(Endpoint):
    """An address of what is the signed-in person's own; keys are nobody's."""

    permission = Permission.ACCOUNT_USE

    @property
    def person(self) -> Any:
        """The id of the signed-in person."""
        if self.principal.user_id is None or self.principal.support_access is not None:
            raise PermissionDenied("An API key has no account: sign in in the browser.")
        return self.principal.user_id


class OwnExportsView(OwnEndpoint):
    """The copies of what is held about oneself in this organization, and of one's account."""

    requires_recent_sign_in = True

    @extend_schema(parameters=PAGING, responses=page_shape("OwnExportPage", ExportSerializer))
    def get(self, request: Request) -> Response:
        rows = exports.own_of(self.person)
        return Response(page(rows, request.query_params, prefix="export", show=show_export))

    @extend_schema(request=None, responses={202: ExportSerializer})
    def post(self, request: Request) -> Response:
        return Response(show_export(exports.export_own(self.person)), status=202)


class OwnExportView(OwnEndpoint):
    """One of one's own copies."""

    @extend_schema(responses=ExportSerializer)
    def get(self, request: Request, export_id: str) -> Response:
        return Response(show_export(exports.find_export(exports.own_of(self.person), export_id)))

    @extend_schema(responses={200: ExportSerializer})
    def delete(self, request: Request, export_id: str) -> Response:
        export = exports.find_export(exports.own_of(self.person), export_id)
        return Response(show_export(exports.cancel_export(export)))


class OwnExportFileView(OwnEndpoint):
    """The file of one of one's own copies."""

    scoped = False

    @extend_schema(responses={(200, "application/zip"): bytes})
    def get(self, request: Request, export_id: str) -> Any:
        person = self.person
        require_recent_sign_in(request._request)
        with self.scope():
            return _file_of(exports.find_export(exports.own_of(person), export_id))


def show_export(export: Export) -> dict[str, Any]:
    """A copy as the API shows it."""
    return {
        "id": export.public_id,
        "object": "compliance.export",
        "user_id": ids.render("user", export.person) if export.person else None,
        "state": export.state,
        "rows_done": export.done,
        "rows_total": export.total,
        "bytes": export.bytes,
        "sha256": export.sha256,
        "fault": export.fault,
        "created_at": export.created_at,
        "created_by": ids.render("user", export.created_by_id) if export.created_by_id else None,
        "finished_at": export.finished_at,
        "expires_at": export.expires_at,
    }


def _file_of(export: Export) -> StreamingHttpResponse:
    response = StreamingHttpResponse(exports.open_export(export), content_type="application/zip")
    response["Content-Length"] = str(export.bytes)
    response["Content-Disposition"] = f'attachment; filename="{export.public_id}.zip"'
    return response
