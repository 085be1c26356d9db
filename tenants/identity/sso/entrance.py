"""Open the session of somebody whom an identity provider vouched for."""

from allauth.account.internal.flows.login import record_authentication
from django.conf import settings
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from kernel.audit.log import acting_as, record
from kernel.tenancy.scope import acting_for
from tenants.access import proofs, sessions
from tenants.access.models import User
from tenants.identity import trail
from tenants.identity.models import IdentityProvider
from tenants.identity.sso import arrival
from tenants.identity.sso.assertions import Asserted

METHOD = "sso"
BACKEND = "tenants.access.backends.EmailBackend"


def enter(request: HttpRequest, provider: IdentityProvider, asserted: Asserted, *, to: str) -> HttpResponse:
    """Sign the person in and send them on. Raises `SignInRefused`."""
    with acting_for(provider.organization_id):
        with acting_as(trail.actor_of(request, None)):
            user = arrival.receive(provider, asserted).user
        with acting_as(trail.actor_of(request, user)):
            record("session.sign_in", user.public_id, method=METHOD, provider=provider.public_id)
    open_session(request, user, provider)
    return redirect(to or settings.LOGIN_REDIRECT_URL)


def open_session(request: HttpRequest, user: User, provider: IdentityProvider) -> None:
    """A session that knows who vouched. Own factors shown in it before, by the same person, still count."""
    same = request.user.is_authenticated and request.user.pk == user.pk
    own = same and proofs.proof_of(request.session).own
    record_authentication(request, user, method=METHOD, provider=provider.public_id)
    login(request, user, backend=BACKEND)
    proofs.vouch(request.session, provider.organization_id, besides_own=own)
    request.session[sessions.ORGANIZATION_KEY] = str(provider.organization_id)
    request.session.pop(sessions.PROJECT_KEY, None)
