"""Middleware of the control plane."""

from collections.abc import Callable

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation

from kernel import ids

HEADER = "x-request-id"
PERSONAL = ("/accounts/", "/api/", "/v1/", "/scim/")
PAGES = "/accounts/"


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


def keep_nothing(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Have no cache keep what belongs to a person: the account pages and every API's answers."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.path.startswith(PERSONAL):
            response["Cache-Control"] = "no-store"
        return response

    return middleware


def language_of_pages(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Speak the person's language on our own pages. The APIs speak English, which programs rely on."""

    def middleware(request: HttpRequest) -> HttpResponse:
        pages = request.path.startswith(PAGES)
        language = translation.get_language_from_request(request) if pages else settings.LANGUAGE_CODE
        with translation.override(language):
            response = get_response(request)
        if pages:
            response["Content-Language"] = language
        return response

    return middleware
