"""The pages of single sign-on: away to the identity provider, and back.

An answer by SAML comes as a form from another site, with which the browser sends no cookie of ours. It is
verified where it arrives and put down; the browser's next request, which has the cookie, picks it up. So a
stranger's answer, posted into somebody's browser, signs nobody in.
"""

import secrets
from dataclasses import asdict
from typing import Any
from uuid import UUID

import redis
import structlog
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from kernel import ids
from kernel.api.callers import actor_of
from kernel.audit.log import acting_as, record_denial
from kernel.errors import DomainError, Unavailable
from kernel.tenancy.scope import acting_for
from tenants.identity.models import IdentityProvider, ProviderKind
from tenants.identity.sso import addresses, crossings, entrance, oidc, pending, saml
from tenants.identity.sso.assertions import Asserted
from tenants.identity.sso.errors import NoSuchProvider, SignInRefused, refused
from tenants.identity.sso.names import domain_of
from tenants.identity.sso.pending import Pending
from tenants.identity.sso.providers import active_providers
from tenants.organizations.models import Organization, OrganizationState

SEE_OTHER = 303
# Anybody can post nonsense to these addresses; the organization's audit log is not theirs to fill.
DENIALS_PER_MINUTE = 60

log = structlog.get_logger()


class SignOnPage(View):
    """A page that knows its organization's provider from its address; what is refused is said in words."""

    organization_id: UUID | None = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return super().dispatch(request, *args, **kwargs)
        except DomainError as fault:
            self._note(request, fault)
            return _refusal(request, fault)
        except redis.RedisError:
            # Without it nothing is known to be used for the first time, so that nobody is let in.
            return _refusal(request, Unavailable("Single sign-on does not work just now; try again soon."))

    def provider(self, kind: ProviderKind | None = None) -> IdentityProvider:
        """The active provider that the address names. Raises `NoSuchProvider`."""
        organization_id = ids.parse("org", self.kwargs["organization_id"])
        provider_id = ids.parse("idp", self.kwargs["provider_id"])
        with acting_for(organization_id):
            found: IdentityProvider | None = IdentityProvider.objects.filter(
                pk=provider_id, is_active=True
            ).first()
            closed = Organization.objects.filter(state=OrganizationState.CLOSED).exists()
        if found is None or closed or (kind and found.kind != kind):
            raise NoSuchProvider
        self.organization_id = organization_id
        return found

    def _note(self, request: HttpRequest, fault: DomainError) -> None:
        log.info("sso.refused", code=fault.code)
        if self.organization_id is None or not isinstance(fault, SignInRefused):
            return
        key = f"lw:{self.organization_id}:sso:denials"
        cache.add(key, 0, timeout=60)
        if cache.incr(key) > DENIALS_PER_MINUTE:
            return
        with acting_as(actor_of(request, "system")), acting_for(self.organization_id):
            record_denial("session.sign_in", self.kwargs["provider_id"], method="sso", reason=fault.code)


class ByAddress(SignOnPage):
    """Find the identity provider by the domain of an e-mail address, and go there."""

    def get(self, request: HttpRequest) -> HttpResponseBase:
        email = request.GET.get("email", "").strip().lower()
        domain = domain_of(email)
        organization_id = crossings.organization_with(domain) if domain else None
        providers = []
        if organization_id:
            with acting_for(organization_id):
                providers = active_providers()
        if not providers:
            raise NoSuchProvider("No single sign-on is set up for this address. Sign in with your password.")
        return leave(request, providers[0], email=email)


class Start(SignOnPage):
    """Go to one identity provider; for a tile in the organization's portal."""

    def get(self, request: HttpRequest, **_: str) -> HttpResponseBase:
        return leave(request, self.provider())


class Callback(SignOnPage):
    """OpenID Connect's way back."""

    def get(self, request: HttpRequest, **_: str) -> HttpResponseBase:
        provider = self.provider(ProviderKind.OIDC)
        begun = _begun(request, provider, request.GET.get("state", ""))
        if "error" in request.GET:
            raise refused("sso_declined", "Your identity provider declined the sign-in.")
        if request.GET.get("iss", provider.issuer) != provider.issuer:
            raise refused("sso_wrong_issuer")
        if not pending.first_use(
            provider.organization_id, "nonce", begun.nonce, seconds=pending.LIFETIME_SECONDS
        ):
            raise refused("sso_replayed")
        asserted = oidc.arrive(
            provider, code=request.GET.get("code", ""), nonce=begun.nonce, verifier=begun.verifier
        )
        return entrance.enter(request, provider, asserted, to=begun.next)


@method_decorator(csrf_exempt, name="dispatch")
class AssertionConsumer(SignOnPage):
    """SAML's way back: verify the answer and put it down for the browser that asked."""

    def post(self, request: HttpRequest, **_: str) -> HttpResponseBase:
        provider = self.provider(ProviderKind.SAML)
        encoded = request.POST.get("SAMLResponse", "")
        request_id = saml.answered_request(provider, encoded)
        if request_id is None and not provider.allow_idp_initiated:
            raise refused("sso_unsolicited", "Begin at the sign-in page, not at your identity provider.")
        verified = saml.verify(provider, encoded, request_id=request_id)
        organization_id = provider.organization_id
        seconds = verified.valid_for_seconds
        if not pending.first_use(organization_id, "assertion", verified.assertion_id, seconds=seconds):
            raise refused("sso_replayed")
        if request_id and not pending.was_expected(organization_id, provider.pk, request_id):
            raise refused("sso_wrong_request", "This sign-in was begun long ago, or not here. Begin again.")
        ticket = pending.leave_ticket(
            organization_id,
            {
                "provider": provider.public_id,
                "request": request_id or "",
                "relay": request.POST.get("RelayState", ""),
                "asserted": asdict(verified.asserted),
            },
        )
        response = redirect(f"{addresses.base(provider)}/complete?ticket={ticket}")
        response.status_code = SEE_OTHER
        return response


class Complete(SignOnPage):
    """Pick up a verified SAML answer, in the browser that asked for it."""

    def get(self, request: HttpRequest, **_: str) -> HttpResponseBase:
        provider = self.provider(ProviderKind.SAML)
        found = pending.pick_up(provider.organization_id, request.GET.get("ticket", ""))
        if found is None or found["provider"] != provider.public_id:
            raise refused("sso_replayed", "This sign-in was completed already, or long ago. Begin again.")
        to = ""
        if found["request"]:
            begun = _begun(request, provider, found["request"])
            if not secrets.compare_digest(begun.nonce.encode(), found["relay"].encode()):
                raise refused("sso_wrong_relay_state")
            to = begun.next
        return entrance.enter(request, provider, Asserted(**found["asserted"]), to=to)


class Metadata(SignOnPage):
    """Our SAML metadata for one provider."""

    def get(self, request: HttpRequest, **_: str) -> HttpResponseBase:
        xml = saml.metadata(self.provider(ProviderKind.SAML))
        return HttpResponse(xml, content_type="application/samlmetadata+xml")


def leave(request: HttpRequest, provider: IdentityProvider, *, email: str = "") -> HttpResponse:
    """Send the browser to the provider.

    By a page that goes on by itself: browsers hold our policy for forms against a redirect to another site
    when the way here began at a form.
    """
    fresh = request.user.is_authenticated
    begun = Pending(provider.organization_id.hex, provider.public_id, _next(request))
    if provider.kind == ProviderKind.OIDC:
        departure = oidc.depart(provider, email, fresh=fresh)
        url, key = departure.url, departure.state
        begun = Pending(begun.organization, begun.provider, begun.next, departure.nonce, departure.verifier)
    else:
        relay_state = secrets.token_urlsafe(32)
        asked = saml.depart(provider, relay_state, fresh=fresh)
        url, key = asked.url, asked.request_id
        begun = Pending(begun.organization, begun.provider, begun.next, relay_state)
        pending.expect(provider.organization_id, provider.pk, asked.request_id)
    pending.remember(request.session, key, begun)
    response = render(request, "sso_leave.html", {"url": url, "provider": provider})
    response["Refresh"] = f"0; url={url}"
    response["Cache-Control"] = "no-store"
    return response


def _refusal(request: HttpRequest, fault: DomainError) -> HttpResponse:
    return render(request, "sso_refused.html", {"fault": fault}, status=fault.status)


def _begun(request: HttpRequest, provider: IdentityProvider, key: str) -> Pending:
    """What this browser began under the key, at this very provider. Raises `SignInRefused`."""
    begun = pending.take(request.session, key)
    if begun is None:
        raise refused(
            "sso_unknown_state", "This sign-in was not begun in this browser, or long ago. Begin again."
        )
    if (begun.organization, begun.provider) != (provider.organization_id.hex, provider.public_id):
        raise refused("sso_wrong_provider")
    return begun


def _next(request: HttpRequest) -> str:
    wanted = request.GET.get("next", "")
    return wanted if url_has_allowed_host_and_scheme(wanted, allowed_hosts=None) else ""
