"""REST: files, as OpenAI's API has them, and what was found in them."""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any, ClassVar

import orjson
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from kernel import ids
from kernel.api.pages import page, page_shape, read_whole_number
from kernel.api.parsers import StrictJSONParser
from kernel.api.schema import PAGING, whole_number
from kernel.api.streams import Streamed
from kernel.audit.log import record
from kernel.errors import NotFound
from kernel.storage import objects
from tenants.access.object_endpoint import ObjectEndpoint
from tenants.access.permissions import Permission
from tenants.access.principal import Principal
from tenants.access.restrictable import visible
from tenants.datasets import services
from tenants.datasets.api import shapes
from tenants.datasets.errors import FileMissing
from tenants.datasets.models import DatasetVersion, File, FileState, Validation

STATES = {
    FileState.UPLOADED: "pending",
    FileState.VALIDATING: "running",
    FileState.PROCESSED: "valid",
    FileState.INVALID: "invalid",
}
SHOWN_PROBLEMS = 100


class FilesView(ObjectEndpoint):
    """Bring a file, list files."""

    permission: ClassVar = {"GET": Permission.FILE_READ, "POST": Permission.FILE_WRITE}
    creating = frozenset({"POST"})
    parser_classes = [MultiPartParser, StrictJSONParser]
    scoped = False

    @extend_schema(
        parameters=[*PAGING, OpenApiParameter("purpose", str, description="Only files for this.")],
        responses=page_shape("FilePage", shapes.FileSerializer),
    )
    def get(self, request: Request) -> Response:
        with self.scope():
            files = visible(File.objects.filter(deleted_at=None), self.principal, Permission.FILE_READ)
            if purpose := request.query_params.get("purpose"):
                files = files.filter(purpose=purpose)
            return Response(page(files, request.query_params, prefix="file", show=shapes.show_file))

    @extend_schema(
        request={"multipart/form-data": shapes.FileUploadSerializer}, responses={200: shapes.FileSerializer}
    )
    def post(self, request: Request) -> Response:
        upload = request.FILES.get("file")
        if upload is None:
            raise FileMissing(param="file")
        facts = services.FileFacts(upload.name or "", str(request.POST.get("purpose", "")), upload.size or 0)
        # Closed here, not with the response: that is never sent where the caller has gone away.
        with upload:
            return Response(shapes.show_file(services.bring_file(upload, facts, by=self.principal)))


class SampleFilesView(ObjectEndpoint):
    """Bring the bundled sample data."""

    permission = Permission.FILE_WRITE
    creating = frozenset({"POST"})
    scoped = False

    @extend_schema(request=None, responses={201: shapes.FileSerializer})
    def post(self, request: Request) -> Response:
        return Response(shapes.show_file(services.bring_sample(self.principal)), status=201)


class FileView(ObjectEndpoint):
    """One file."""

    permission: ClassVar = {"GET": Permission.FILE_READ, "DELETE": Permission.FILE_WRITE}

    @extend_schema(responses=shapes.FileSerializer)
    def get(self, request: Request, file_id: str) -> Response:
        return Response(shapes.show_file(_file(self.principal, file_id)))

    @extend_schema(responses={200: shapes.FileDeletedSerializer})
    def delete(self, request: Request, file_id: str) -> Response:
        services.delete_file(_file(self.principal, file_id, Permission.FILE_WRITE))
        return Response({"id": file_id, "object": "file", "deleted": True})


class FileProvenanceView(ObjectEndpoint):
    """By which right a file's rows are here, what for, and whether models may learn from them."""

    permission: ClassVar = {"GET": Permission.FILE_READ, "PUT": Permission.FILE_WRITE}

    @extend_schema(responses=shapes.ProvenanceSerializer)
    def get(self, request: Request, file_id: str) -> Response:
        return Response(asdict(services.provenance_of(_file(self.principal, file_id))))

    @extend_schema(request=shapes.ProvenanceSerializer, responses={200: shapes.ProvenanceSerializer})
    def put(self, request: Request, file_id: str) -> Response:
        file = _file(self.principal, file_id, Permission.FILE_WRITE)
        body = shapes.ProvenanceSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        services.record_provenance(file, services.Provenance(**body.validated_data))
        return Response(asdict(services.provenance_of(file)))


class FileContentView(ObjectEndpoint):
    """The bytes of a file, decrypted as they are sent."""

    permission = Permission.FILE_READ
    scoped = False

    @extend_schema(responses={(200, "application/octet-stream"): bytes})
    def get(self, request: Request, file_id: str) -> Any:
        with self.scope():
            file = _file(self.principal, file_id)
            record("file.download", file.public_id)
        content = objects.get(self.principal.organization_id, file.object_key)
        response = Streamed(content, content_type="application/octet-stream")
        response["Content-Length"] = str(file.bytes)
        response["Content-Disposition"] = f'attachment; filename="{file.public_id}"'
        return response


class FileValidationView(ObjectEndpoint):
    """What was found in a file: counts, and problems with their rows."""

    permission = Permission.FILE_READ
    scoped = False

    @extend_schema(
        parameters=[
            whole_number("offset", "How many problems to pass over."),
            whole_number("limit", f"How many to show; {SHOWN_PROBLEMS} unless told.", low=1, high=1000),
        ],
        responses=shapes.ValidationSerializer,
    )
    def get(self, request: Request, file_id: str) -> Response:
        offset = read_whole_number(request.query_params, "offset", default=0, low=0, high=10**9)
        limit = read_whole_number(request.query_params, "limit", default=SHOWN_PROBLEMS, low=1, high=1000)
        with self.scope():
            file = _file(self.principal, file_id)
            found = Validation.objects.filter(file=file).first()
            version = DatasetVersion.objects.filter(file=file).first()
            if found and found.problems_key:
                # Problems quote the rows that have them.
                record("file.read", file.public_id, what="problems", offset=offset, limit=limit)
        problems: list[Any] = []
        if found and found.problems_key:
            stored = objects.open_object(self.principal.organization_id, found.problems_key)
            problems = [orjson.loads(line) for line in islice(stored, offset, offset + limit)]
        counts = found.problem_counts if found else {}
        return Response(
            {
                "state": STATES[FileState(file.state)],
                "format": found.format if found else None,
                "rows": found.rows if found else 0,
                "valid_rows": found.valid_rows if found else 0,
                "problems": problems,
                "problem_counts": counts,
                "problems_shown": len(problems),
                "problems_total": sum(counts.values()),
                "dataset_version": version.public_id if version else None,
            }
        )


class DatasetVersionsView(ObjectEndpoint):
    """The project's dataset versions."""

    permission = Permission.FILE_READ

    @extend_schema(
        parameters=[*PAGING, OpenApiParameter("file", str, description="Only the versions of this file.")],
        responses=page_shape("DatasetVersionPage", shapes.DatasetVersionSerializer),
    )
    def get(self, request: Request) -> Response:
        versions = _versions(self.principal)
        if file_id := request.query_params.get("file"):
            versions = versions.filter(file_id=ids.parse("file", file_id, param="file"))
        return Response(page(versions, request.query_params, prefix="dsv", show=shapes.show_version))


class DatasetVersionView(ObjectEndpoint):
    """One dataset version."""

    permission = Permission.FILE_READ

    @extend_schema(responses=shapes.DatasetVersionSerializer)
    def get(self, request: Request, version_id: str) -> Response:
        return Response(shapes.show_version(_version(self.principal, version_id)))


class DatasetVersionRowsView(ObjectEndpoint):
    """Rows of a dataset version, as the model will see them."""

    permission = Permission.FILE_READ
    scoped = False

    @extend_schema(
        parameters=[
            whole_number("offset", "How many rows to pass over."),
            whole_number("limit", "How many to show; 20 unless told.", low=1, high=100),
        ],
        responses=shapes.RowsSerializer,
    )
    def get(self, request: Request, version_id: str) -> Response:
        offset = read_whole_number(request.query_params, "offset", default=0, low=0, high=10**9)
        limit = read_whole_number(request.query_params, "limit", default=20, low=1, high=100)
        with self.scope():
            version = _version(self.principal, version_id)
            record("dataset_version.read", version.public_id, offset=offset, limit=limit)
        stored = objects.open_object(self.principal.organization_id, version.object_key)
        return Response({"rows": list(_rows(stored, offset, limit)), "total": version.rows})


def _rows(stored: Any, offset: int, limit: int) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(islice(stored, offset, offset + limit), start=offset + 1):
        yield {"row": number, **orjson.loads(line)}


def _file(principal: Principal, file_id: str, permission: Permission = Permission.FILE_READ) -> File:
    rows = File.objects.filter(pk=ids.parse("file", file_id, param="file_id"))
    file: File | None = visible(rows, principal, permission).first()
    if file is None or file.deleted_at is not None:
        raise NotFound(f"There is no file '{file_id}'.{_successor(file)}", param="file_id")
    return file


def _successor(file: File | None) -> str:
    """Where the rows of a file are that was rewritten: programs keep its old id."""
    if file is None or file.replaced_by_id is None:
        return ""
    successor = ids.render("file", file.replaced_by_id)
    return f" Rows of it were erased on demand; the others are in '{successor}'."


def _versions(principal: Principal) -> "QuerySet[DatasetVersion]":
    """The versions of files that the caller may read."""
    rows = DatasetVersion.objects.filter(file__deleted_at=None).select_related("file")
    return visible(rows, principal, Permission.FILE_READ, through="file")


def _version(principal: Principal, version_id: str) -> DatasetVersion:
    version: DatasetVersion | None = _versions(principal).filter(pk=ids.parse("dsv", version_id)).first()
    if version is None:
        raise NotFound(f"There is no dataset version '{version_id}'.")
    return version
