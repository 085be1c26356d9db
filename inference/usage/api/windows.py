"""The time of a usage query: which buckets a page shows, as OpenAI's API cuts them."""

import re
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter

from inference.usage.cells import floor
from inference.usage.models import Grain
from inference.usage.reading import WIDTHS, Window
from kernel.api.pages import read_whole_number
from kernel.api.schema import whole_number
from kernel.errors import InvalidRequest

LAST_SECOND = 4_102_444_800
# How many buckets a page has unless told, and at most.
LIMITS = {Grain.MINUTE: (60, 1440), Grain.HOUR: (24, 168), Grain.DAY: (7, 31)}
COST_LIMITS = {Grain.DAY: (7, 180)}
_CURSOR = re.compile(r"page_([0-9a-f]{1,10})")

Limits = dict[Grain, tuple[int, int]]


def parameters(limits: Limits) -> list[OpenApiParameter]:
    """How the query parameters of time are described."""
    most = max(most for _, most in limits.values())
    return [
        OpenApiParameter(
            "start_time",
            {"type": "integer", "minimum": 0, "maximum": LAST_SECOND},
            required=True,
            description="Unix seconds; the bucket in which it lies is the first.",
        ),
        whole_number("end_time", "Unix seconds, not included; now unless told.", high=LAST_SECOND),
        OpenApiParameter(
            "bucket_width", str, enum=[grain.value for grain in limits], description="1d unless told."
        ),
        whole_number("limit", "How many buckets at most.", low=1, high=most),
        OpenApiParameter("page", str, description="`next_page` of the page before."),
    ]


def read_window(query: Any, limits: Limits) -> tuple[Window, str | None]:
    """The buckets of the page that is asked for, and the cursor of the next one, if there is one.

    Raises `InvalidRequest`.
    """
    grain = _grain(query, limits)
    if query.get("start_time") is None:
        raise InvalidRequest("'start_time' is required, in Unix seconds.", param="start_time")
    start = floor(_moment(query, "start_time"), grain)
    end = _moment(query, "end_time") if query.get("end_time") is not None else timezone.now()
    if query.get("end_time") is not None and end <= _moment(query, "start_time"):
        raise InvalidRequest("'end_time' must be later than 'start_time'.", param="end_time")
    default, most = limits[grain]
    limit = read_whole_number(query, "limit", default=default, low=1, high=most)
    start = _continued(query, start, grain)
    following = start + limit * WIDTHS[grain]
    window = Window(grain, start, min(following, end))
    return window, f"page_{int(following.timestamp()):x}" if following < end else None


def _grain(query: Any, limits: Limits) -> Grain:
    text = query.get("bucket_width", Grain.DAY.value)
    if text not in {grain.value for grain in limits}:
        known = ", ".join(grain.value for grain in limits)
        raise InvalidRequest(f"'bucket_width' must be one of {known}.", param="bucket_width")
    return Grain(text)


def _moment(query: Any, name: str) -> datetime:
    return datetime.fromtimestamp(read_whole_number(query, name, default=0, low=0, high=LAST_SECOND), UTC)


def _continued(query: Any, start: datetime, grain: Grain) -> datetime:
    """Where the page begins: at the window's beginning, or where its cursor says."""
    cursor = query.get("page")
    if not cursor:
        return start
    found = _CURSOR.fullmatch(cursor)
    at = datetime.fromtimestamp(min(int(found[1], 16), LAST_SECOND), UTC) if found else None
    if at is None or at < start or at != floor(at, grain):
        raise InvalidRequest("'page' is no 'next_page' of this query.", param="page")
    return at
