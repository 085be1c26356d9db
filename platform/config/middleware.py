"""Middleware of the control plane."""

from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse

from kernel import ids

HEADER = "x-request-id"


def request_id(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Give each request an id, in its logs, its audit entries and its answer."""

    def middleware(request: HttpRequest) -> HttpResponse:
        identifier = ids.render("req", ids.uuid7())
        request.META["REQUEST_ID"] = identifier
        with structlog.contextvars.bound_contextvars(request_id=identifier):
            response = get_response(request)
        response[HEADER] = identifier
        return response

    return middleware
