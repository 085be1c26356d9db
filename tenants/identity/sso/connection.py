"""Try an identity provider out before anybody depends on it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from django.db.models.functions import Now

from kernel import ids
from kernel.audit.log import record
from kernel.egress import destinations
from kernel.egress.errors import EgressFault
from tenants.identity.models import IdentityProvider, ProviderKind
from tenants.identity.sso import metadata, oidc
from tenants.identity.sso.errors import ProviderUnusable


@dataclass(frozen=True)
class Check:
    """One thing that a test of the connection looked at."""

    name: str
    ok: bool
    message: str = ""


def check_connection(provider: IdentityProvider) -> list[Check]:
    """Ask the provider what a sign-in would ask it; takes some seconds, so hold no scope."""
    checks = _check_oidc if provider.kind == ProviderKind.OIDC else _check_saml
    return checks(provider)


def note_test(provider_id: UUID, checks: list[Check]) -> None:
    """Remember that the connection was tested and held, if it did."""
    passed = all(check.ok for check in checks)
    if passed:
        IdentityProvider.objects.filter(pk=provider_id).update(tested_at=Now())
    record("sso.provider.test", ids.render("idp", provider_id), passed=passed)


def _check_oidc(provider: IdentityProvider) -> list[Check]:
    try:
        endpoints = oidc.discover(provider.issuer)
    except (EgressFault, ProviderUnusable) as fault:
        return [Check("discovery", ok=False, message=fault.message)]
    found = [Check("discovery", ok=True)]
    try:
        oidc.signing_keys(endpoints)
    except (EgressFault, ProviderUnusable) as fault:
        return [*found, Check("keys", ok=False, message=fault.message)]
    return [*found, Check("keys", ok=True)]


def _check_saml(provider: IdentityProvider) -> list[Check]:
    now = datetime.now(UTC)
    live = any(metadata.read(text).expires_at > now for text in provider.certificates)
    checks = [
        Check("certificate", ok=live, message="" if live else "Every signing certificate has expired."),
        _check_address(provider.sign_in_url),
    ]
    if provider.metadata_url:
        checks.append(_check_metadata(provider))
    return checks


def _check_address(url: str) -> Check:
    try:
        destinations.parse(url)
    except EgressFault as fault:
        return Check("sign_in_url", ok=False, message=fault.message)
    return Check("sign_in_url", ok=True)


def _check_metadata(provider: IdentityProvider) -> Check:
    try:
        published = metadata.fetch(provider.metadata_url)
    except (EgressFault, ProviderUnusable) as fault:
        return Check("metadata", ok=False, message=fault.message)
    same = published.entity_id == provider.issuer and set(published.certificates) == set(
        provider.certificates
    )
    message = "" if same else "The metadata have changed: send 'metadata_url' again to take them over."
    return Check("metadata", ok=same, message=message)
