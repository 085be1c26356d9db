"""Pages that Django renders itself: signing in and out, and the console's one page."""

from typing import Any
from urllib.parse import urlencode

from django.contrib.auth import views as auth_views
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET

from kernel.api.callers import address_of
from kernel.api.errors import not_found
from kernel.audit.log import Actor, acting_as, record
from kernel.errors import PermissionDenied
from kernel.tenancy.scope import acting_for
from tenants.access import sessions
from tenants.access.models import User


class SignIn(auth_views.LoginView):
    """Sign in with address and password; the session's id changes, as it must."""

    template_name = "sign_in.html"
    redirect_authenticated_user = True

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        _record_sign_in(self.request)
        return response


class SignOut(auth_views.LogoutView):
    """End the session."""

    next_page = "/accounts/sign-in"


@require_GET
@ensure_csrf_cookie
def console(request: HttpRequest, path: str = "") -> HttpResponse:
    """The console's page, whatever its route: the browser does the rest."""
    if not request.user.is_authenticated:
        return redirect(f"/accounts/sign-in?{urlencode({'next': request.get_full_path()})}")
    response = render(request, "console.html")
    response["Cache-Control"] = "no-store"
    return response


def unknown_address(request: HttpRequest) -> JsonResponse:
    """An API address that does not exist."""
    return not_found(request, Http404())


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form or call without its CSRF token."""
    if request.path.startswith("/accounts/"):
        return render(request, "sign_in_expired.html", status=403)
    error = PermissionDenied("The request lacks its CSRF token: reload the page.", code="csrf_failed")
    return JsonResponse(error.body(), status=error.status)


def _record_sign_in(request: HttpRequest) -> None:
    user = request.user
    if not isinstance(user, User):
        return
    actor = Actor(user.public_id, address_of(request), request.META.get("REQUEST_ID", ""))
    for membership in sessions.memberships_of(user):
        with acting_as(actor), acting_for(membership.organization_id):
            record("session.sign_in", user.public_id)
