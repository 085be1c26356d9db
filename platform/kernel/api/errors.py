"""One renderer for every fault of the REST surfaces: OpenAI's error object."""

import math
from collections.abc import Callable
from typing import Any

import structlog
from django.core.exceptions import RequestDataTooBig
from django.db import DataError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from psycopg_pool import PoolTimeout
from rest_framework import exceptions
from rest_framework.response import Response

from kernel.api.strict import TOLD_CODES
from kernel.errors import (
    DomainError,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
)

log = structlog.get_logger()


class MethodNotAllowed(DomainError):
    """The address exists and does not take this method."""

    code, status = "method_not_allowed", 405


class UnsupportedMediaType(DomainError):
    """The body's content type is not one that this address reads."""

    code, status = "unsupported_media_type", 415


def _invalid(exception: Any) -> DomainError:
    param, detail = _first_fault(exception.detail)
    code = getattr(detail, "code", None)
    message = f"{param}: {detail}" if param else str(detail)
    return InvalidRequest(message, param=param, code=code if code in TOLD_CODES else None)


def _media_type(exception: Any) -> DomainError:
    if '""' in str(exception.detail):
        return UnsupportedMediaType("Say what the body is: send the header 'Content-Type: application/json'.")
    return UnsupportedMediaType(str(exception.detail))


def _no_column_holds_it(exception: Exception) -> DomainError:
    log.warning("request.value_out_of_range", exc_info=exception)
    return InvalidRequest("A value is out of range or too long.", code="invalid_value")


def _database_away(exception: Exception) -> DomainError:
    log.error("database.unavailable", exc_info=exception)
    return Unavailable("The database does not answer; try again in a few seconds.")


TRANSLATIONS: dict[type[Exception], Callable[[Any], DomainError]] = {
    exceptions.ValidationError: _invalid,
    exceptions.ParseError: lambda e: InvalidRequest(
        f"The body is not valid JSON: {e.detail}", code="invalid_json"
    ),
    exceptions.NotAuthenticated: lambda e: Unauthenticated(),
    exceptions.AuthenticationFailed: lambda e: Unauthenticated(),
    exceptions.PermissionDenied: lambda e: PermissionDenied(str(e.detail)),
    exceptions.MethodNotAllowed: lambda e: MethodNotAllowed(str(e.detail)),
    exceptions.UnsupportedMediaType: _media_type,
    Http404: lambda e: NotFound(),
    RequestDataTooBig: lambda e: PayloadTooLarge(),
    DataError: _no_column_holds_it,
    OperationalError: _database_away,
    PoolTimeout: _database_away,
}


def handle(exception: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler: never a stack trace, never another shape."""
    return render(as_domain_error(exception))


def as_domain_error(exception: Exception) -> DomainError:
    """The declared fault that an exception stands for; an unknown one is logged and becomes a 500."""
    if isinstance(exception, DomainError):
        return exception
    for kind, translate in TRANSLATIONS.items():
        if isinstance(exception, kind):
            return translate(exception)
    log.error("request.crashed", exc_info=exception)
    return DomainError()


def render(error: DomainError) -> Response:
    """The fault as a DRF response."""
    response = Response(error.body(), status=error.status)
    if error.retry_after_seconds is not None:
        response["Retry-After"] = str(math.ceil(error.retry_after_seconds))
    if error.status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response


def not_found(request: HttpRequest, exception: Exception) -> JsonResponse:
    """Django's handler404 for API addresses."""
    error = NotFound(f"Unknown address: {request.method} {request.path}.", code="unknown_url")
    return JsonResponse(error.body(), status=error.status)


def crashed(request: HttpRequest) -> JsonResponse:
    """Django's handler500."""
    error = DomainError()
    return JsonResponse(error.body(), status=error.status)


def _first_fault(detail: Any, path: str = "") -> tuple[str | None, Any]:
    """The parameter at fault and what is wrong with it, which knows its own code."""
    if isinstance(detail, dict):
        key, inner = next(iter(detail.items()))
        own = "" if key == "non_field_errors" else str(key)
        return _first_fault(inner, f"{path}.{own}".strip(".") if own else path)
    if isinstance(detail, list):
        found = next((item for item in detail if item), "The request is not valid.")
        return _first_fault(found, path)
    return path or None, detail
