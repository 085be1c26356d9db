"""REST: what it came to by day, as OpenAI's costs API tells it."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from inference.usage import reading
from inference.usage.api import filters, windows
from inference.usage.api.usage import page_of, page_shape
from inference.usage.reading import CostRow
from tenants.access.endpoint import OrganizationEndpoint
from tenants.access.permissions import Permission
from tenants.limits.services.prices import CURRENCY, MILLION

FILTERS = ("project_ids", "api_key_ids")
GROUPS = ("project_id", "line_item", "api_key_id")
PLACES = {"project_id": "project_id", "api_key_id": "key_id", "line_item": "line_item"}


class CostsView(OrganizationEndpoint):
    """What requests and training came to, by day."""

    permission = Permission.USAGE_READ

    @extend_schema(
        parameters=[*windows.parameters(windows.COST_LIMITS), *filters.parameters(FILTERS, GROUPS)],
        responses=page_shape,
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        window, following = windows.read_window(query, windows.COST_LIMITS)
        groups = filters.read_groups(query, GROUPS)
        rows = reading.costs_by(
            window,
            filters.read_filters(query, FILTERS),
            frozenset(PLACES[group] for group in groups),
            projects=filters.read_ids(query, "project_ids"),
            # Jobs are nobody's key's.
            training=not filters.read_ids(query, "api_key_ids"),
        )
        results = {
            day: [_show(row, by_item="line_item" in groups) for row in found] for day, found in rows.items()
        }
        return Response(page_of(window, following, results))


def _show(row: CostRow, *, by_item: bool) -> dict[str, Any]:
    quantity = row.tokens if by_item else None
    return {
        "object": "organization.costs.result",
        "amount": {"value": row.microunits / MILLION, "currency": CURRENCY.lower()},
        "line_item": row.line_item,
        "project_id": filters.shown("project_id", row.project_id),
        "api_key_id": filters.shown("api_key_id", row.key_id),
        "quantity": quantity,
        "quantity_unit": None if quantity is None else "tokens",
    }
