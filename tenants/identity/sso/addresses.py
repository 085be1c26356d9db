"""The addresses that an organization enters at its identity provider: each provider has its own."""

from django.conf import settings

from kernel import ids
from tenants.identity.models import IdentityProvider

ROOT = "/accounts/sso"


def base(provider: IdentityProvider) -> str:
    """Where everything of this provider lies."""
    organization = ids.render("org", provider.organization_id)
    return f"{settings.PUBLIC_URL}{ROOT}/{organization}/{provider.public_id}"


def start(provider: IdentityProvider) -> str:
    """Where a sign-in begins, for a tile in the organization's portal."""
    return f"{base(provider)}/start"


def callback(provider: IdentityProvider) -> str:
    """OpenID Connect's redirect URI."""
    return f"{base(provider)}/callback"


def acs(provider: IdentityProvider) -> str:
    """SAML's assertion consumer service."""
    return f"{base(provider)}/acs"


def entity_id(provider: IdentityProvider) -> str:
    """Our SAML entity id for this provider; our metadata are there."""
    return f"{base(provider)}/metadata"
