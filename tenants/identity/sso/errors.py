"""What can go wrong with domains, identity providers and arrivals from them."""

from kernel.errors import Conflict, InvalidRequest, NotFound, PermissionDenied, Unavailable


class DomainTaken(Conflict):
    """The proof holds, and yet another organization has the domain; whose it is, is not said."""

    code = "domain_taken"
    message = (
        "This domain is verified by another organization. If it is yours, let the other one give it up, "
        "or ask support."
    )


class DomainNotProved(InvalidRequest):
    """The record is not there, or not the one that was given."""

    code = "domain_not_proved"


class SsoStandsOnThis(Conflict):
    """Required single sign-on stands on this domain or provider."""

    code = "sso_required"
    message = "Single sign-on is required and needs this: turn the requirement off first."


class ResolverAway(Unavailable):
    """The name servers do not answer."""

    code = "resolver_unavailable"
    message = "The domain name system does not answer; try again in a few minutes."


class ProviderUnusable(InvalidRequest):
    """What the identity provider publishes cannot be used."""

    code = "provider_unusable"


class NoSuchProvider(NotFound):
    """There is none of this id, or it is not active, or the organization is not."""

    code = "no_such_provider"
    message = "There is no such way to sign in. Begin at the sign-in page."


class SignInRefused(PermissionDenied):
    """What the identity provider says is not believed, or does not let the person in.

    `code` says which check failed; the message tells the person what to do.
    """

    code = "sso_refused"
    message = (
        "Your organization's sign-in did not succeed. Try again; if it fails again, ask your administrator."
    )


def refused(code: str, message: str | None = None) -> SignInRefused:
    """A refusal with a stable code of its own."""
    return SignInRefused(message, code=code)
