"""Middleware: whoever an organization vouched for does not touch the person's own ways to sign in.

Otherwise the administrators of one organization could give a member a password or a passkey, and walk with
it into all the others that the person belongs to.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from kernel.errors import PermissionDenied
from tenants.access.proofs import proof_of

OWN_PAGES = ("/accounts/email", "/accounts/password", "/accounts/factors")
# Needs a letter to the person's own address, which nobody vouches for here.
OPEN_PAGES = ("/accounts/password/reset", "/accounts/email/verify")


class VouchedFor(PermissionDenied):
    """The session rests on an organization's word alone."""

    code = "signed_in_by_organization"
    message = (
        "Your organization signed you in. To change your own address, password or passkeys, sign out and "
        "sign in by your own; without a password, ask for a new one at the sign-in page."
    )


def keep_to_the_organization(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Refuse the pages of one's own factors to sessions that no own factor opened."""

    def middleware(request: HttpRequest) -> HttpResponse:
        about_own = request.path.startswith(OWN_PAGES) and not request.path.startswith(OPEN_PAGES)
        if about_own and request.user.is_authenticated and not proof_of(request.session).own:
            return render(request, "sso_refused.html", {"fault": VouchedFor()}, status=VouchedFor.status)
        return get_response(request)

    return middleware
