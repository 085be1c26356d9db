"""How people sign up and in: what allauth asks of the platform at each step."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from kernel.api.callers import address_of
from kernel.errors import InvalidRequest
from tenants.access.addresses import normalise
from tenants.access.assurance import signed_in_recently
from tenants.access.models import User
from tenants.identity import lock_out, trail
from tenants.identity.services import sign_up
from tenants.identity.uniform_time import no_sooner
from tenants.identity.vouching import vouch_for_address


class AccountAdapter(DefaultAccountAdapter):
    """Allauth's account flows in our house: uniform answers, audit, and sockets that hear of it."""

    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": _("The address and password do not match. Check both and try again."),
        "incorrect_password": _("This is not your password. Check it and try again."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Whether somebody may sign up here now."""
        return sign_up.is_open(request.session)

    def clean_email(self, email: str) -> str:
        """The address in its one form; one that looks like another is refused in words."""
        try:
            return normalise(email)
        except InvalidRequest as fault:
            raise ValidationError(fault.message, code=fault.code) from None

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """Verify an address, unless it is somebody else's by now."""
        others = User.objects.exclude(pk=email_address.user_id)
        if others.filter(email=email_address.email).exists():
            said = "account/messages/email_confirmation_failed.txt"
            self.add_message(request, messages.ERROR, said, {"email": email_address.email})
            return False
        return bool(super().confirm_email(request, email_address))

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Nothing: `lock_out` counts attempts, and never by the address alone as allauth would."""

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Any:
        """The person, or None after as long a time whether or not there is one of that address."""
        with no_sooner():
            user = super().authenticate(request, **credentials)
        if user is not None and "email" in credentials:
            lock_out.forgive(request, credentials["email"])
        return user

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Leave word where the person is a member."""
        user = User.objects.filter(email=str(credentials.get("email", "")).strip().lower()).first()
        if user is not None:
            trail.record_refusal_everywhere(request, user, "session.sign_in", method="password")

    def pre_login(self, request: HttpRequest, user: Any, **kwargs: Any) -> HttpResponse | None:
        """Take the word of whoever brought the person in for their address; refuse the deactivated."""
        vouch_for_address(user)
        answer: HttpResponse | None = super().pre_login(request, user, **kwargs)
        return answer

    def login(self, request: HttpRequest, user: Any) -> None:
        """Begin the session, under a new id."""
        super().login(request, user)
        records = request.session.get("account_authentication_methods", [])
        methods = [record["method"] for record in records if "method" in record]
        trail.record_everywhere(request, user, "session.sign_in", methods=methods)

    def get_client_ip(self, request: HttpRequest) -> str:
        """The caller's address by the platform's one rule for proxies."""
        return address_of(request) or lock_out.NO_NETWORK

    def logout(self, request: HttpRequest) -> None:
        """End the session, and every socket that it opened."""
        user, session_key = request.user, request.session.session_key
        super().logout(request)
        if isinstance(user, User):
            UserSession.objects.filter(session_key=session_key).delete()
            trail.record_everywhere(request, user, "session.sign_out")
            trail.tell_sessions_ended(user)

    def set_password(self, user: Any, password: str) -> None:
        """Change the password, which ends every other session: none of them knows the new one."""
        super().set_password(user, password)
        trail.record_everywhere(self.request, user, "password.change")
        trail.tell_sessions_ended(user)

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Whether a grave act on the account must wait for a fresh proof; a fresh sign-in is one."""
        return not signed_in_recently(self.request)


def display_name(user: User) -> str:
    """What the person is called in letters and by their own devices."""
    return user.name or user.email
