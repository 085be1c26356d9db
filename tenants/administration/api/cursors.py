"""Lists as OpenAI's administration API cuts them: some by first and last id, some by a `next` cursor."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers

from kernel import ids
from kernel.api.pages import read_whole_number
from kernel.api.schema import whole_number
from kernel.errors import InvalidRequest, NotFound

M = TypeVar("M", bound=Model)
Shown = dict[str, Any]


@dataclass(frozen=True)
class Cut:
    """How a list is cut: how many rows at most, and in which order unless told."""

    default: int = 20
    most: int = 100
    least: int = 1
    order: str = "asc"
    # Where the published API takes no order, none is read.
    orderable: bool = False

    def limit(self, query: Any) -> int:
        """How many rows the caller wants. Raises `InvalidRequest`."""
        return read_whole_number(query, "limit", default=self.default, low=self.least, high=self.most)

    def ascending(self, query: Any) -> bool:
        """Whether the oldest come first. Raises `InvalidRequest`."""
        order = query.get("order", self.order) if self.orderable else self.order
        if order not in {"asc", "desc"}:
            raise InvalidRequest("'order' must be 'asc' or 'desc'.", param="order")
        return bool(order == "asc")

    @property
    def parameters(self) -> list[OpenApiParameter]:
        """How the list's query parameters are described."""
        found = [
            OpenApiParameter("after", str, description="The cursor after which the page begins."),
            whole_number(
                "limit", f"How many at most; {self.default} unless told.", low=self.least, high=self.most
            ),
        ]
        if self.orderable:
            found.append(
                OpenApiParameter("order", str, enum=["asc", "desc"], description=f"{self.order} unless told.")
            )
        return found


@dataclass(frozen=True)
class Page:
    """One page of a list."""

    data: Sequence[Shown]
    has_more: bool

    def by_ids(self) -> Shown:
        """With the ids of its first and last item."""
        return {
            "object": "list",
            "data": self.data,
            "first_id": self.data[0]["id"] if self.data else None,
            "last_id": self.data[-1]["id"] if self.data else None,
            "has_more": self.has_more,
        }

    def by_next(self, cursor: str = "id") -> Shown:
        """With the cursor of the next page: the id of its own last item."""
        following = self.data[-1][cursor] if self.has_more and self.data else None
        return {"object": "list", "data": self.data, "has_more": self.has_more, "next": following}


def cut_rows(
    rows: "QuerySet[M]",
    query: Any,
    cut: Cut,
    *,
    prefix: str,
    show: Callable[[list[M]], list[Shown]],
    column: str = "pk",
) -> Page:
    """A page of rows in the order of `column`, whose public ids begin with `prefix`.

    `show` takes all rows of the page at once, so that what it looks up costs the same for one as for many.
    Raises `InvalidRequest`, `NotFound` for a cursor that is no such id.
    """
    limit, ascending = cut.limit(query), cut.ascending(query)
    if after := query.get("after"):
        bound = ids.parse(prefix, after, param="after")
        rows = rows.filter(**{f"{column}__{'gt' if ascending else 'lt'}": bound})
    found = list(rows.order_by(column if ascending else f"-{column}")[: limit + 1])
    return Page(show(found[:limit]), len(found) > limit)


def cut_items(items: Sequence[Shown], query: Any, cut: Cut) -> Page:
    """A page of a list that is small and made in memory. Raises `InvalidRequest`, `NotFound`."""
    limit = cut.limit(query)
    ordered = list(items) if cut.ascending(query) else list(reversed(items))
    start = 0
    if after := query.get("after"):
        places = [number for number, item in enumerate(ordered) if item["id"] == after]
        if not places:
            raise NotFound(f"There is no object with the id '{after[:80]}' in this list.", param="after")
        start = places[0] + 1
    rest = ordered[start:]
    return Page(rest[:limit], len(rest) > limit)


def ids_shape(name: str, item: type[serializers.Serializer[Any]]) -> Any:
    """How a page by ids looks in the API's description."""
    return inline_serializer(
        name=name,
        fields={
            "object": serializers.CharField(),
            "data": item(many=True),
            "first_id": serializers.CharField(allow_null=True),
            "last_id": serializers.CharField(allow_null=True),
            "has_more": serializers.BooleanField(),
        },
    )


def next_shape(name: str, item: type[serializers.Serializer[Any]]) -> Any:
    """How a page by a `next` cursor looks in the API's description."""
    return inline_serializer(
        name=name,
        fields={
            "object": serializers.CharField(),
            "data": item(many=True),
            "has_more": serializers.BooleanField(),
            "next": serializers.CharField(allow_null=True),
        },
    )
