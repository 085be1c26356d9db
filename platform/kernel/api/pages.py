"""Lists by cursor, as OpenAI's API has them: newest first, `after` an id, `limit` up to 100."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

from kernel import ids
from kernel.errors import InvalidRequest

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
MAX_VALUES = 100

M = TypeVar("M", bound=Model)


def page(
    rows: QuerySet[M], query: Any, *, prefix: str, show: Callable[[M], dict[str, Any]]
) -> dict[str, Any]:
    """One page of rows ordered by their UUIDv7 ids (which are in order of creation).

    `query` is the request's query parameters (`after`, `before`, `limit`, `order`). Raises `InvalidRequest`.
    """
    limit = read_whole_number(query, "limit", default=DEFAULT_LIMIT, low=1, high=MAX_LIMIT)
    order = query.get("order", "desc")
    if order not in {"asc", "desc"}:
        raise InvalidRequest("'order' must be 'asc' or 'desc'.", param="order")
    ascending = order == "asc"
    if after := query.get("after"):
        bound = ids.parse(prefix, after, param="after")
        rows = rows.filter(pk__gt=bound) if ascending else rows.filter(pk__lt=bound)
    found = list(rows.order_by("pk" if ascending else "-pk")[: limit + 1])
    data = [show(row) for row in found[:limit]]
    return {
        "object": "list",
        "data": data,
        "has_more": len(found) > limit,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
    }


def page_shape(name: str, item: type[serializers.Serializer[Any]]) -> Any:
    """How a page of these items looks in the API's description."""
    return inline_serializer(
        name=name,
        fields={
            "object": serializers.CharField(),
            "data": item(many=True),
            "has_more": serializers.BooleanField(),
            "first_id": serializers.CharField(allow_null=True),
            "last_id": serializers.CharField(allow_null=True),
        },
    )


def read_whole_number(query: Any, name: str, *, default: int, low: int, high: int) -> int:
    """A whole number among the query parameters. Raises `InvalidRequest` that names it."""
    text = query.get(name)
    if text is None:
        return default
    try:
        number = int(text)
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        raise InvalidRequest(f"'{name}' must be a whole number from {low} to {high}.", param=name)
    return number


def read_values(query: Any, name: str) -> list[str]:
    """A query parameter given any number of times, as `name` or `name[]`. Raises `InvalidRequest`."""
    values = [*query.getlist(f"{name}[]"), *query.getlist(name)]
    if len(values) > MAX_VALUES:
        raise InvalidRequest(f"'{name}' may name {MAX_VALUES} at most.", param=name)
    return values
