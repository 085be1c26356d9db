"""What allauth tells only by signals: factors and addresses that changed. Ours goes by calls, not signals."""

from typing import Any

from allauth.account import signals as account_signals
from allauth.mfa import signals as factor_signals
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest

from tenants.access.models import User
from tenants.identity import trail
from tenants.identity.vouching import vouch_for_address


def listen() -> None:
    """Begin to listen; called once, when the app is ready."""
    user_logged_in.connect(_signed_in)
    factor_signals.authenticator_added.connect(_factor_added)
    factor_signals.authenticator_removed.connect(_factor_removed)
    factor_signals.authenticator_reset.connect(_codes_renewed)
    factor_signals.authentication_failed.connect(_factor_refused)
    account_signals.email_changed.connect(_address_changed)
    account_signals.email_confirmed.connect(_address_verified)


def _signed_in(request: HttpRequest, user: User, **_: Any) -> None:
    # However somebody came in: allauth itself lists only the sessions that its own pages began.
    UserSession.objects.create_from_request(request, user=user)
    vouch_for_address(user)


def _factor_added(request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    trail.record_everywhere(request, user, "factor.add", type=str(authenticator.type))


def _factor_removed(request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    trail.record_everywhere(request, user, "factor.remove", type=str(authenticator.type))


def _codes_renewed(request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    trail.record_everywhere(request, user, "factor.renew", type=str(authenticator.type))


def _factor_refused(request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    trail.record_refusal_everywhere(request, user, "session.sign_in", method=str(authenticator.type))


def _address_changed(request: HttpRequest, user: User, **_: Any) -> None:
    trail.record_everywhere(request, user, "address.change")


def _address_verified(request: HttpRequest, email_address: Any, **_: Any) -> None:
    trail.record_everywhere(request, email_address.user, "address.verify")
