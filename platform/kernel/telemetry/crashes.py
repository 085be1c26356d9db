"""Crash reports to Sentry, scrubbed: ids and code may leave, content and secrets may not."""

import re
from collections.abc import Callable
from typing import Any

import sentry_sdk
from sentry_sdk.types import Event, Hint

SECRET = re.compile(r"lw_[A-Za-z0-9_]{8,}|(?i:bearer)\s+\S+|://[^/\s:@]*:[^/\s@]+@")
REMOVED = "[removed]"
DROPPED = {"breadcrumbs", "extra", "user", "server_name", "logentry", "message"}


def report_to(dsn: str, *, release: str, transport: Callable[..., Any] | None = None) -> None:
    """Start reporting crashes. `transport` replaces Sentry's own, for tests."""
    sentry_sdk.init(
        dsn=dsn,
        release=release,
        transport=transport,
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        before_send=scrub,
    )


def scrub(event: Event, hint: Hint) -> Event | None:
    """Drop what may hold content (bodies, headers, variables, breadcrumbs) and mask what looks secret."""
    request = event.get("request")
    if isinstance(request, dict):
        event["request"] = {key: request[key] for key in ("method", "url") if key in request}
        event["request"]["url"] = str(event["request"].get("url", "")).split("?")[0]
    kept = {key: value for key, value in event.items() if key not in DROPPED}
    # A library's message quotes what it was given ("Key (email)=(…) already exists"): the type must do.
    for fault in kept.get("exception", {}).get("values", []):  # type: ignore[attr-defined]
        fault["value"] = REMOVED
    masked: Event = _mask(kept)
    return masked


def _mask(value: Any) -> Any:
    if isinstance(value, str):
        return SECRET.sub(REMOVED, value)
    if isinstance(value, dict):
        return {key: _mask(item) for key, item in value.items() if key != "vars"}
    if isinstance(value, list):
        return [_mask(item) for item in value]
    return value
