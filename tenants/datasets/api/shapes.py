"""How files, validations and dataset versions look on the wire."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from kernel import ids
from kernel.api.strict import StrictSerializer
from tenants.datasets.formats.jsonl import CHAT, PROMPT_COMPLETION
from tenants.datasets.formats.tables import CSV
from tenants.datasets.models import DatasetVersion, File, FileState, LegalBasis

# OpenAI's three states; while it is validated a file counts as uploaded.
PUBLIC_STATES = {FileState.PROCESSED: "processed", FileState.INVALID: "error"}
FILE_STATUSES = ["uploaded", "processed", "error"]
VALIDATION_STATES = ["pending", "running", "valid", "invalid"]
FORMATS = [CHAT, PROMPT_COMPLETION, CSV]
ROW_ROLES = ["system", "user", "assistant"]


class FileSerializer(serializers.Serializer[Any]):
    """OpenAI's file object."""

    id = serializers.CharField()
    object = serializers.CharField()
    bytes = serializers.IntegerField()
    created_at = serializers.IntegerField()
    filename = serializers.CharField()
    purpose = serializers.CharField()
    status = serializers.ChoiceField(choices=FILE_STATUSES)
    status_details = serializers.CharField(required=False)
    expires_at = serializers.IntegerField(required=False)


@extend_schema_field(OpenApiTypes.BINARY)
class UploadField(serializers.FileField):
    """The bytes of a file in a form."""


class FileUploadSerializer(serializers.Serializer[Any]):
    """The form that brings a file."""

    file = UploadField()
    purpose = serializers.CharField()


class ProvenanceSerializer(StrictSerializer):
    """By which right (GDPR article 6) a file's rows are here, what for, and whether models may learn from
    them.
    """

    legal_basis = serializers.ChoiceField(choices=LegalBasis.values, allow_blank=True, required=False)
    processing_purpose = serializers.CharField(max_length=500, allow_blank=True, required=False)
    consent_reference = serializers.CharField(max_length=200, allow_blank=True, required=False)
    training_allowed = serializers.BooleanField(required=False)


class FileDeletedSerializer(serializers.Serializer[Any]):
    """OpenAI's answer to a deletion."""

    id = serializers.CharField()
    object = serializers.CharField()
    deleted = serializers.BooleanField()


class ProblemSerializer(serializers.Serializer[Any]):
    """Why one row cannot be used."""

    row = serializers.IntegerField()
    column = serializers.CharField(allow_null=True)
    code = serializers.CharField()
    message = serializers.CharField()


class ValidationSerializer(serializers.Serializer[Any]):
    """What was found in a file."""

    state = serializers.ChoiceField(choices=VALIDATION_STATES)
    format = serializers.ChoiceField(choices=FORMATS, allow_null=True)
    rows = serializers.IntegerField()
    valid_rows = serializers.IntegerField()
    problems = ProblemSerializer(many=True)
    problem_counts = serializers.DictField(child=serializers.IntegerField())
    problems_shown = serializers.IntegerField()
    problems_total = serializers.IntegerField()
    dataset_version = serializers.CharField(allow_null=True)


class DatasetVersionSerializer(serializers.Serializer[Any]):
    """Immutable rows, named by their content."""

    id = serializers.CharField()
    file_id = serializers.CharField()
    filename = serializers.CharField()
    digest = serializers.CharField()
    rows = serializers.IntegerField()
    bytes = serializers.IntegerField()
    format = serializers.ChoiceField(choices=FORMATS)
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField(allow_null=True)


class RowMessageSerializer(serializers.Serializer[Any]):
    """One turn of a row."""

    role = serializers.ChoiceField(choices=ROW_ROLES)
    content = serializers.CharField()
    weight = serializers.IntegerField(required=False)


class RowSerializer(serializers.Serializer[Any]):
    """One row as the model will see it."""

    row = serializers.IntegerField()
    messages = RowMessageSerializer(many=True)


class RowsSerializer(serializers.Serializer[Any]):
    """Some rows of a dataset version."""

    rows = RowSerializer(many=True)
    total = serializers.IntegerField()


def show_file(file: File) -> dict[str, Any]:
    """OpenAI's file object."""
    shown: dict[str, Any] = {
        "id": file.public_id,
        "object": "file",
        "bytes": file.bytes,
        "created_at": int(file.created_at.timestamp()),
        "filename": file.filename,
        "purpose": file.purpose,
        "status": PUBLIC_STATES.get(FileState(file.state), "uploaded"),
    }
    if file.state_reason:
        shown["status_details"] = file.state_reason
    if file.expires_at is not None:
        shown["expires_at"] = int(file.expires_at.timestamp())
    return shown


def show_version(version: DatasetVersion) -> dict[str, Any]:
    """A dataset version."""
    return {
        "id": version.public_id,
        "file_id": ids.render("file", version.file_id),
        "filename": version.file.filename,
        "digest": version.digest,
        "rows": version.rows,
        "bytes": version.bytes,
        "format": version.format,
        "created_at": version.created_at,
        "created_by": ids.render("user", version.created_by_id) if version.created_by_id else None,
    }
