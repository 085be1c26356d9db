"""REST: the audit log as evidence: exports that anybody can verify, checkpoints, and the public keys."""

from datetime import datetime
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kernel import ids
from kernel.api.pages import page, page_shape
from kernel.api.schema import PAGING
from kernel.api.streams import Streamed, in_chunks
from kernel.audit.checkpoints import told
from kernel.audit.export import Wanted, export, read_bound
from kernel.audit.models import AuditCheckpoint
from kernel.crypto import signing
from kernel.errors import InvalidRequest
from tenants.access.endpoint import OrganizationEndpoint
from tenants.access.permissions import Permission

JSON_LINES = "application/jsonl"
MAX_VALUES = 100


class AuditCheckpointSerializer(serializers.Serializer[Any]):
    """What the platform signed of the log."""

    id = serializers.CharField()
    entries = serializers.IntegerField()
    made_at = serializers.DateTimeField()
    document = serializers.CharField()
    key_id = serializers.CharField()
    signature = serializers.CharField()


class PublicKeySerializer(serializers.Serializer[Any]):
    """A key that the platform signs with, or signed with before."""

    id = serializers.CharField()
    pem = serializers.CharField()
    current = serializers.BooleanField()


class PublicKeysSerializer(serializers.Serializer[Any]):
    """All of them."""

    data = PublicKeySerializer(many=True)  # type: ignore[assignment]


class AuditExportView(OrganizationEndpoint):
    """The log up to now as JSON Lines, to be verified offline; see docs/audit.md."""

    permission = Permission.AUDIT_READ
    scoped = False

    @extend_schema(
        parameters=[
            OpenApiParameter("since", datetime, description="Show entries from then on (RFC 3339)."),
            OpenApiParameter("until", datetime, description="Show entries before then (RFC 3339)."),
            OpenApiParameter("actor", str, many=True, description="Show what these did: `user-…`, `key_…`."),
            OpenApiParameter("action", str, many=True, description="Show these acts: `file.download`."),
            OpenApiParameter("target", str, many=True, description="Show what was done to these: `file-…`."),
        ],
        responses={(200, JSON_LINES): bytes},
    )
    def get(self, request: Request) -> Any:
        query = request.query_params
        wanted = Wanted(
            since=_moment(query, "since"),
            until=_moment(query, "until"),
            actors=_values(query, "actor"),
            actions=_values(query, "action"),
            targets=_values(query, "target"),
        )
        lines = export(self.principal.organization_id, wanted)
        response = Streamed(in_chunks(lines), content_type=JSON_LINES)
        response["Content-Disposition"] = 'attachment; filename="audit-log.jsonl"'
        return response


class AuditCheckpointsView(OrganizationEndpoint):
    """What was signed of the log, newest first."""

    permission = Permission.AUDIT_READ

    @extend_schema(parameters=PAGING, responses=page_shape("AuditCheckpointPage", AuditCheckpointSerializer))
    def get(self, request: Request) -> Response:
        rows = AuditCheckpoint.objects.all()
        return Response(page(rows, request.query_params, prefix="checkpoint", show=_show))


class SigningKeysView(OrganizationEndpoint):
    """The public keys, to verify with. Keep them: who alters a log could give other keys later."""

    permission = Permission.AUDIT_READ

    @extend_schema(responses=PublicKeysSerializer)
    def get(self, request: Request) -> Response:
        current = signing.signing_keys().current
        keys = signing.public_keys().items()
        return Response(
            {"data": [{"id": name, "pem": pem, "current": name == current} for name, pem in keys]}
        )


def _show(checkpoint: AuditCheckpoint) -> dict[str, Any]:
    return {
        "id": ids.render("checkpoint", checkpoint.pk),
        "entries": checkpoint.entries,
        "made_at": checkpoint.made_at,
        **told(checkpoint),
    }


def _moment(query: Any, name: str) -> datetime | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        return read_bound(text)
    except ValueError:
        raise InvalidRequest(f"'{name}' must be a time like 2026-03-01T00:00:00Z.", param=name) from None


def _values(query: Any, name: str) -> tuple[str, ...]:
    values = query.getlist(name)
    if len(values) > MAX_VALUES:
        raise InvalidRequest(f"'{name}' may be given {MAX_VALUES} times at most.", param=name)
    return tuple(values)
