"""REST: the statements of months, as JSON and as CSV."""

import csv
import io
import re
from datetime import date
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from inference.usage import statements
from inference.usage.statements import Line, Statement
from kernel import ids
from kernel.errors import InvalidRequest
from tenants.access.endpoint import OrganizationEndpoint
from tenants.access.permissions import Permission
from tenants.limits.services.prices import CURRENCY

_MONTH = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])")
# What spreadsheets would take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
COLUMNS = (
    "day",
    "project_id",
    "kind",
    "model",
    "requests",
    "input_tokens",
    "output_tokens",
    "cost_microunits",
    "currency",
)


class MonthSerializer(serializers.Serializer[Any]):
    """One month in which something was used."""

    object = serializers.CharField()
    month = serializers.CharField()
    requests = serializers.IntegerField()
    total_microunits = serializers.IntegerField()
    currency = serializers.CharField()


class LineSerializer(serializers.Serializer[Any]):
    """One day of one project and model."""

    day = serializers.DateField()
    project_id = serializers.CharField()
    kind = serializers.CharField()
    model = serializers.CharField(allow_null=True)
    requests = serializers.IntegerField()
    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    cost_microunits = serializers.IntegerField()


class StatementSerializer(serializers.Serializer[Any]):
    """A month: `complete` once it is over, `charged_microunits` what limits counted."""

    object = serializers.CharField()
    month = serializers.CharField()
    complete = serializers.BooleanField()
    currency = serializers.CharField()
    total_microunits = serializers.IntegerField()
    charged_microunits = serializers.IntegerField()
    lines = LineSerializer(many=True)


class StatementsView(OrganizationEndpoint):
    """The months in which something was used, newest first."""

    permission = Permission.USAGE_READ

    @extend_schema(
        responses=inline_serializer(
            name="StatementMonths",
            fields={"object": serializers.CharField(), "data": MonthSerializer(many=True)},
        )
    )
    def get(self, request: Request) -> Response:
        data = [
            {
                "object": "organization.statement.month",
                "month": _name(month),
                "requests": requests,
                "total_microunits": microunits,
                "currency": CURRENCY,
            }
            for month, requests, microunits in statements.months()
        ]
        return Response({"object": "list", "data": data})


class StatementView(OrganizationEndpoint):
    """The statement of one month, `2026-11`; of one without use it has no lines."""

    permission = Permission.USAGE_READ

    @extend_schema(responses=StatementSerializer)
    def get(self, request: Request, month: str) -> Response:
        return Response(_show(statements.statement_of(_read(month))))


class StatementTableView(OrganizationEndpoint):
    """The same lines as CSV."""

    permission = Permission.USAGE_READ

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Request, month: str) -> HttpResponse:
        statement = statements.statement_of(_read(month))
        table = io.StringIO()
        writer = csv.writer(table)
        writer.writerow(COLUMNS)
        for line in statement.lines:
            writer.writerow([_plain(value) for value in (*_show_line(line).values(), CURRENCY)])
        response = HttpResponse(table.getvalue(), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="statement-{_name(statement.month)}.csv"'
        return response


def _read(text: str) -> date:
    found = _MONTH.fullmatch(text)
    if found is None:
        raise InvalidRequest("'month' must be a month such as 2026-11.", param="month")
    return date(int(found[1]), int(found[2]), 1)


def _name(month: date) -> str:
    return f"{month:%Y-%m}"


def _show(statement: Statement) -> dict[str, Any]:
    return {
        "object": "organization.statement",
        "month": _name(statement.month),
        "complete": timezone.now() >= statements.window_of(statement.month).end,
        "currency": CURRENCY,
        "total_microunits": statement.total_microunits,
        "charged_microunits": statement.charged_microunits,
        "lines": [_show_line(line) for line in statement.lines],
    }


def _show_line(line: Line) -> dict[str, Any]:
    return {
        "day": line.day.isoformat(),
        "project_id": ids.render("proj", line.project_id),
        "kind": line.kind,
        "model": line.model or None,
        "requests": line.requests,
        "input_tokens": line.input_tokens,
        "output_tokens": line.output_tokens,
        "cost_microunits": line.microunits,
    }


def _plain(value: Any) -> Any:
    """A cell that no spreadsheet runs."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
