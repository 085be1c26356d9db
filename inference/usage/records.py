"""Usage records as the gateway writes them to the stream, read strictly."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from inference.usage.models import UsageRecord

FIELD = b"record"
STATUSES = frozenset({"completed", "cancelled", "failed"})
CACHE_OUTCOMES = frozenset({"hit", "miss", "off"})
MAX_TOKENS = 2**53
MAX_MILLISECONDS = 1e12


class Malformed(ValueError):
    """The entry is not a usage record. The text names the field, never its content."""


def read_record(entry: Mapping[bytes, bytes]) -> UsageRecord:
    """The row that a stream entry stands for, not saved. Raises `Malformed`."""
    try:
        document = orjson.loads(entry[FIELD])
    except (KeyError, orjson.JSONDecodeError):
        raise Malformed("record") from None
    if not isinstance(document, dict):
        raise Malformed("record")
    return UsageRecord(
        id=_request_id(document),
        organization_id=_uuid(document, "organization_id"),
        project_id=_uuid(document, "project_id"),
        key_id=_uuid_or_none(document, "key_id"),
        user_id=_uuid_or_none(document, "user_id"),
        deployment_id=_uuid(document, "deployment_id"),
        model_version_id=_uuid_or_none(document, "model_version_id"),
        model=_text(document, "model", 250),
        digest=_text(document, "digest", 64),
        surface=_text(document, "surface", 50),
        prompt_tokens=_tokens(document, "prompt_tokens"),
        completion_tokens=_tokens(document, "completion_tokens"),
        status=_status(document),
        finish_reason=_text_if_told(document, "finish_reason", 20),
        started_at=_moment(document, "started_at"),
        first_token_ms=_milliseconds(document, "first_token_ms")
        if document.get("first_token_ms") is not None
        else None,
        duration_ms=_milliseconds(document, "duration_ms"),
        batch=_flag(document, "batch"),
        permission=_text_if_told(document, "permission", 100),
        closest_limit=_text_if_told(document, "closest_limit", 100),
        cache=_cache(document),
        route=_text_if_told(document, "route", 100),
        guardrail=_text_if_told(document, "guardrail", 100),
        canary=_text_if_told(document, "canary", 50),
    )


def _request_id(document: dict[str, Any]) -> UUID:
    identifier = _uuid(document, "request_id")
    # The table is partitioned by time, which only a UUIDv7 carries.
    if identifier.version != 7:
        raise Malformed("request_id")
    return identifier


def _uuid(document: dict[str, Any], name: str) -> UUID:
    value = document.get(name)
    try:
        if isinstance(value, str):
            return UUID(value)
    except ValueError:
        pass
    raise Malformed(name)


def _uuid_or_none(document: dict[str, Any], name: str) -> UUID | None:
    return _uuid(document, name) if document.get(name) not in (None, "") else None


def _text(document: dict[str, Any], name: str, longest: int) -> str:
    value = document.get(name)
    if not isinstance(value, str) or len(value) > longest or "\0" in value:
        raise Malformed(name)
    return value


def _text_if_told(document: dict[str, Any], name: str, longest: int) -> str:
    return _text(document, name, longest) if document.get(name) is not None else ""


def _flag(document: dict[str, Any], name: str) -> bool:
    value = document.get(name, False)
    if not isinstance(value, bool):
        raise Malformed(name)
    return value


def _cache(document: dict[str, Any]) -> str:
    outcome = _text_if_told(document, "cache", 10)
    if outcome and outcome not in CACHE_OUTCOMES:
        raise Malformed("cache")
    return outcome


def _status(document: dict[str, Any]) -> str:
    status = document.get("status")
    if status not in STATUSES:
        raise Malformed("status")
    return str(status)


def _tokens(document: dict[str, Any], name: str) -> int:
    value = document.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_TOKENS:
        raise Malformed(name)
    return value


def _milliseconds(document: dict[str, Any], name: str) -> float:
    value = _number(document, name)
    if not 0 <= value <= MAX_MILLISECONDS:
        raise Malformed(name)
    return value


def _moment(document: dict[str, Any], name: str) -> datetime:
    try:
        return datetime.fromtimestamp(_number(document, name), UTC)
    except (ValueError, OverflowError, OSError):
        raise Malformed(name) from None


def _number(document: dict[str, Any], name: str) -> float:
    value = document.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Malformed(name)
    return float(value)
