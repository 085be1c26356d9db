"""The forms that differ from allauth's: bounds, an organization's name, and codes that count once."""

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.forms import AddEmailForm, LoginForm, SignupForm
from allauth.account.internal.flows.login import record_authentication
from allauth.account.internal.flows.signup import prevent_enumeration
from allauth.mfa.adapter import get_adapter as get_factor_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.utils import encrypt
from django import forms
from django.contrib.auth.hashers import make_password
from django.core.validators import MaxLengthValidator, validate_email
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse

from tenants.access.models import User
from tenants.identity import trail
from tenants.identity.services import sign_up
from tenants.identity.uniform_time import no_sooner

# Hashing is made to be slow; nobody's password is longer.
MAX_PASSWORD_CHARACTERS = 512


class SignInForm(LoginForm):
    """Address and password."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password"].validators.append(MaxLengthValidator(MAX_PASSWORD_CHARACTERS))


class SignUpForm(SignupForm):
    """Who the person is, and the organization that they found; or only the person, who was invited."""

    name = forms.CharField(max_length=sign_up.MAX_NAME_CHARACTERS)
    organization = forms.CharField(max_length=sign_up.MAX_NAME_CHARACTERS)

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password1"].validators.append(MaxLengthValidator(MAX_PASSWORD_CHARACTERS))
        _judge_by_our_rule(self.fields["email"])
        self.invited = sign_up.invitation_in(request.session)
        if self.invited is not None:
            del self.fields["organization"]
            self.fields["email"].disabled = True
            self.initial["email"] = self.invited.email

    def try_save(self, request: HttpRequest) -> tuple[User | None, HttpResponse | None]:
        """Make the person and what they need, or nothing; an address that is taken gets the same answer."""
        with no_sooner():
            if not self.account_already_exists:
                try:
                    with transaction.atomic():
                        return self.save(request), None
                except IntegrityError:
                    # Somebody signed up with the address at the same moment.
                    pass
            make_password(self.cleaned_data["password1"])
            return None, prevent_enumeration(request, email=self.cleaned_data["email"])

    def save(self, request: HttpRequest) -> Any:
        """The person; an invitation has proved the address already."""
        if self.invited is not None:
            get_adapter().stash_verified_email(request, self.invited.email)
        return super().save(request)

    def signup(self, request: HttpRequest, user: User) -> None:
        """What the person needs besides: their name, and where they belong."""
        user.name = self.cleaned_data["name"].strip()
        user.save(update_fields=["name"])
        # Whoever has just chosen a password has just entered it.
        record_authentication(request, user, method="password")
        actor = trail.actor_of(request, user)
        if self.invited is not None:
            sign_up.join(request.session, user, by=actor)
        else:
            sign_up.found_organization_for(user, self.cleaned_data["organization"], by=actor)


class ChangeAddressForm(AddEmailForm):
    """The address to sign in by from now on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _judge_by_our_rule(self.fields["email"])


class ActivateTotpForm(ActivateTOTPForm):
    """Setting up an authenticator app; the code that does it is used up by it."""

    def clean_code(self) -> str:
        code: str = super().clean_code()
        factor = Authenticator(
            user=self.user, type=Authenticator.Type.TOTP, data={"secret": encrypt(self.secret)}
        )
        if not factor.wrap().validate_code(code):
            raise get_factor_adapter().validation_error("incorrect_code")
        return code


def _judge_by_our_rule(field: forms.Field) -> None:
    # The adapter's rule is stricter than Django's and says better what is wrong.
    field.validators = [check for check in field.validators if check is not validate_email]
