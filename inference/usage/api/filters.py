"""What a usage query narrows and groups by, in the words of OpenAI's API."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import Q
from drf_spectacular.utils import OpenApiParameter

from kernel import ids
from kernel.api.pages import read_values
from kernel.errors import InvalidRequest
from tenants.administration.api.projects import read_flag

# The words for which rows name something by id: the column, and what the public id begins with.
NAMED = {
    "project_ids": ("project_id", "proj"),
    "user_ids": ("user_id", "user"),
    "api_key_ids": ("key_id", "key"),
}
# The words by which results are grouped, and the columns that they are.
COLUMNS = {
    "project_id": "project_id",
    "user_id": "user_id",
    "api_key_id": "key_id",
    "model": "model",
    "batch": "batch",
}
PREFIXES = {"project_id": "proj", "user_id": "user", "api_key_id": "key"}


def parameters(filters: Sequence[str], groups: Sequence[str]) -> list[OpenApiParameter]:
    """How the query parameters are described."""
    listed = [
        OpenApiParameter(f"{name}[]", str, many=True, description="Only these.")
        for name in filters
        if name != "batch"
    ]
    flags = (
        [OpenApiParameter("batch", bool, description="Only batches, or none.")] if "batch" in filters else []
    )
    return [*listed, *flags, OpenApiParameter("group_by[]", str, many=True, enum=list(groups))]


def read_filters(query: Any, filters: Sequence[str]) -> Q:
    """Which totals are meant. Raises `InvalidRequest`, `NotFound` for what is no id of its kind."""
    wanted = Q()
    for name in filters:
        if name in NAMED:
            wanted &= _named(query, name)
        elif name == "models":
            models = read_values(query, name)
            wanted &= Q(model__in=models) if models else Q()
        elif name == "batch" and query.get("batch") is not None:
            wanted &= Q(batch=read_flag(query, "batch"))
    return wanted


def read_ids(query: Any, name: str) -> list[UUID]:
    """The ids that a filter names. Raises `InvalidRequest`, `NotFound`."""
    _, prefix = NAMED[name]
    return [ids.parse(prefix, value, param=name) for value in read_values(query, name)]


def read_groups(query: Any, allowed: Sequence[str]) -> list[str]:
    """By what results are grouped, each once. Raises `InvalidRequest`."""
    wanted = read_values(query, "group_by")
    for name in wanted:
        if name not in allowed:
            known = ", ".join(f"'{one}'" for one in allowed)
            raise InvalidRequest(f"'group_by' may name {known}.", param="group_by")
    return list(dict.fromkeys(wanted))


def shown(group: str, value: Any) -> Any:
    """The value of a group as results show it."""
    if value is None or group not in PREFIXES:
        return value
    return ids.render(PREFIXES[group], value)


def _named(query: Any, name: str) -> Q:
    column, _ = NAMED[name]
    found = read_ids(query, name)
    return Q(**{f"{column}__in": found}) if found else Q()
