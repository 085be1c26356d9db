"""What every REST door looks at before a handler is called: sizes, characters, unknown parameters."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from kernel.api.parsers import MAX_BODY_BYTES, BodyTooLarge, check_text
from kernel.api.strict import UNKNOWN
from kernel.errors import DomainError, InvalidRequest

FORM = "multipart/form-data"
# Addresses whose callers are ours to be strict with; OpenAI's own clients may send what comes with time.
STRICT_ABOUT_QUERIES = "/api/v1/"


class LengthRequired(DomainError):
    """A body came without saying how long it is."""

    code, status = "length_required", 411
    message = "Send the header 'Content-Length'; bodies in chunks are not read."


class UnknownParameter(InvalidRequest):
    """A parameter that this address does not take."""

    code = UNKNOWN


def check(request: Request, view: Any) -> None:
    """Refuse a request that no handler should see. Raises a `DomainError`."""
    _check_length(request)
    for name, value in view.kwargs.items():
        check_text(str(value), name)
    for name, values in request.query_params.lists():
        check_text(name, "query")
        for value in values:
            check_text(value, name)
    if request.path.startswith(STRICT_ABOUT_QUERIES):
        _check_query(request, view)


def _check_length(request: Request) -> None:
    meta = request.META
    if "chunked" in meta.get("HTTP_TRANSFER_ENCODING", "").lower() and not meta.get("CONTENT_LENGTH"):
        raise LengthRequired
    if (request.content_type or "").partition(";")[0].strip().lower() == FORM:
        return
    text = meta.get("CONTENT_LENGTH") or "0"
    if not text.isdecimal() or int(text) > MAX_BODY_BYTES:
        raise BodyTooLarge


def _check_query(request: Request, view: Any) -> None:
    unknown = sorted(request.query_params.keys() - _described(view, request.method or ""))
    if unknown:
        name = unknown[0][:80]
        raise UnknownParameter(f"The query parameter '{name}' is not known here.", param=name)


def _described(view: Any, method: str) -> set[str]:
    """The query parameters that the handler's own description names."""
    handler = getattr(view, method.lower(), None)
    schema = getattr(handler, "kwargs", {}).get("schema")
    if schema is None:
        return set()
    description = schema()
    description.view, description.method = view, method
    described = description.get_override_parameters()
    return {
        each.name
        for each in described
        if isinstance(each, OpenApiParameter) and each.location == OpenApiParameter.QUERY
    }
