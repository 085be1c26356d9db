"""How sure a session can be of its person: how fresh the proof is, and whether there is a second factor."""

import time

from allauth.account.authentication import get_authentication_records
from allauth.mfa.models import Authenticator
from django.http import HttpRequest

from kernel.errors import PermissionDenied
from tenants.access.models import User

RECENT_SECONDS = 600
CONFIRM_AT = "/accounts/reauthenticate"
FACTORS_AT = "/accounts/factors"
# What proves that it is the person. Recovery codes only stand in for one of these when it is lost.
FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


class ReauthenticationRequired(PermissionDenied):
    """The session's proof of identity is too old for this act."""

    code = "reauthentication_required"
    message = (
        f"Confirm that it is you first: open {CONFIRM_AT} in the browser, then repeat this within "
        f"{RECENT_SECONDS // 60} minutes."
    )


class SecondFactorRequired(PermissionDenied):
    """The organization requires a second factor and the person has none yet."""

    code = "second_factor_required"
    message = f"This organization requires a second factor: set one up at {FACTORS_AT}, then go on."


def signed_in_recently(request: HttpRequest) -> bool:
    """Whether the person of this session signed in, or confirmed that it is them, a short time ago."""
    user = request.user
    if not isinstance(user, User):
        return False
    records = get_authentication_records(request, user)
    newest = max((float(record.get("at", 0)) for record in records), default=0.0)
    return time.time() - newest < RECENT_SECONDS


def require_recent_sign_in(request: HttpRequest) -> None:
    """Raises `ReauthenticationRequired` where the last proof is older than `RECENT_SECONDS`."""
    if not signed_in_recently(request):
        raise ReauthenticationRequired


def has_factor(user: User) -> bool:
    """Whether the person has set up a second factor."""
    return bool(Authenticator.objects.filter(user_id=user.pk, type__in=FACTORS).exists())
