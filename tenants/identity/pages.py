"""The account pages that differ from allauth's: who may sign up, invitations, leaving, confirming oneself."""

from typing import Any
from urllib.parse import urlsplit

from allauth.account.internal.flows.reauthentication import get_reauthentication_flows
from allauth.account.utils import get_next_redirect_url
from allauth.account.views import LoginView, LogoutView, ReauthenticateView, SignupView
from allauth.mfa.base.views import IndexView
from django.conf import settings
from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.http import urlencode
from django.views import View

from kernel.errors import DomainError
from tenants.access import sessions
from tenants.access.models import User
from tenants.access.services import invitations
from tenants.identity import trail
from tenants.identity.services import sign_up

SIGN_IN = "/accounts/sign-in"
JOIN = invitations.PAGE
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
# What the browser may have kept of the account: answers in its cache, the console's settings.
CLEARED_AT_SIGN_OUT = '"cache", "storage"'


class SignIn(LoginView):
    """Sign in with address and password, a passkey, or an organization's own sign-in."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        here = urlsplit(settings.PUBLIC_URL).hostname
        open_to_all = sign_up.is_open(self.request.session)
        return {
            **super().get_context_data(**kwargs),
            "on_one_machine": here in LOOPBACK,
            "can_sign_up": open_to_all,
        }


class SignOut(LogoutView):
    """End the session, and have the browser forget what it kept of it."""

    def post(self, *args: Any, **kwargs: Any) -> HttpResponse:
        response: HttpResponse = super().post(*args, **kwargs)
        response["Clear-Site-Data"] = CLEARED_AT_SIGN_OUT
        return response


class SignUp(SignupView):
    """Make an account: with an organization of one's own, or for the one that sent an invitation."""

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "request": self.request}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        return {**context, "invited": context["form"].invited}

    def form_valid(self, form: Any) -> HttpResponse:
        answer: HttpResponse
        try:
            answer = super().form_valid(form)
        except DomainError as fault:
            form.add_error(None, fault.message)
            answer = self.form_invalid(form)
        return answer


class Join(View):
    """An invitation's page: what it is for, and the way to accept it."""

    def get(self, request: HttpRequest) -> HttpResponse:
        if token := request.GET.get("token"):
            # Out of the address bar, the history and what the next page is told.
            request.session[sign_up.INVITATION_KEY] = token
            return redirect(JOIN)
        try:
            invited = invitations.look_up(request.session.get(sign_up.INVITATION_KEY, ""))
        except DomainError as fault:
            return self._refuse(request, fault)
        user = request.user
        is_theirs = isinstance(user, User) and user.email == invited.email
        context = {"invited": invited, "is_theirs": is_theirs, "way_back": urlencode({"next": JOIN})}
        return render(request, "account/invitation.html", context)

    def post(self, request: HttpRequest) -> HttpResponse:
        user = request.user
        if not isinstance(user, User):
            return redirect(f"{SIGN_IN}?{urlencode({'next': JOIN})}")
        try:
            sign_up.join(request.session, user, by=trail.actor_of(request, user))
        except DomainError as fault:
            return self._refuse(request, fault)
        return redirect(settings.LOGIN_REDIRECT_URL)

    def _refuse(self, request: HttpRequest, fault: DomainError) -> HttpResponse:
        request.session.pop(sign_up.INVITATION_KEY, None)
        return render(request, "account/invitation.html", {"fault": fault}, status=fault.status)


class Reauthenticate(ReauthenticateView):
    """Confirm that it is oneself, before a grave act."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_authenticated and not get_reauthentication_flows(request.user):
            # Whoever signs in by their organization alone has nothing here to confirm with but that.
            return render(request, "account/sign_in_anew.html", {"next": get_next_redirect_url(request)})
        answer: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        return answer


class Factors(LoginRequiredMixin, IndexView):
    """The person's second factors, and why one may be needed now."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        person = self.request.user
        required = isinstance(person, User) and any(
            membership.requires_factor for membership in sessions.memberships_of(person)
        )
        return {**context, "is_required": required}
