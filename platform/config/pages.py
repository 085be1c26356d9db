"""Pages of the whole: the console's one page, and what is answered where there is none."""

from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET

from kernel.api.errors import not_found
from kernel.errors import DomainError, PermissionDenied
from tenants.access import sessions
from tenants.access.assurance import FACTORS_AT
from tenants.access.authentication import principal_of_session
from tenants.access.models import User

ACCOUNTS = "/accounts/"
SIGN_IN = "/accounts/sign-in"
SINGLE_SIGN_ON = "/accounts/sso"


@require_GET
@ensure_csrf_cookie
def console(request: HttpRequest, path: str = "") -> HttpResponse:
    """The console's page, whatever its route: the browser does the rest."""
    return for_members(request, "console.html")


def for_members(request: HttpRequest, template: str) -> HttpResponse:
    """A page for whoever is signed in; others are sent to where they must go first."""
    if not request.user.is_authenticated:
        return redirect(f"{SIGN_IN}?{urlencode({'next': request.get_full_path()})}")
    elsewhere = _first(request)
    if elsewhere is not None:
        return redirect(elsewhere)
    response = render(request, template)
    response["Cache-Control"] = "no-store"
    return response


def missing(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404: people read a page, programs an error."""
    return unknown_page(request) if request.path.startswith(ACCOUNTS) else not_found(request, exception)


def unknown_address(request: HttpRequest) -> JsonResponse:
    """An API address that does not exist."""
    return not_found(request, Http404())


def unknown_page(request: HttpRequest) -> HttpResponse:
    """An account page that does not exist."""
    return render(request, "account/not_found.html", status=404)


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form or call without its CSRF token."""
    if request.path.startswith(ACCOUNTS):
        return render(request, "account/expired.html", status=403)
    error = PermissionDenied("The request lacks its CSRF token: reload the page.", code="csrf_failed")
    return JsonResponse(error.body(), status=error.status)


def _first(request: HttpRequest) -> str | None:
    """Where the person must go before the console can show them anything."""
    try:
        principal = principal_of_session(request)
    except DomainError:
        # The console asks the API itself, and shows what it answers.
        return None
    if principal is not None:
        return FACTORS_AT if principal.lacks_factor else None
    user = request.user
    if isinstance(user, User) and any(one.requires_sso for one in sessions.memberships_of(user)):
        return f"{SINGLE_SIGN_ON}?{urlencode({'email': user.email, 'next': request.get_full_path()})}"
    return None
