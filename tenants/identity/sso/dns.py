"""Ask the domain name system for text records."""

import dns.exception
import dns.resolver
from django.conf import settings

from tenants.identity.sso.errors import ResolverAway

TIMEOUT_SECONDS = 5.0
DEFAULT_PORT = 53


def texts_at(name: str) -> list[str]:
    """The text records of a name; none where there are none. Raises `ResolverAway`."""
    try:
        answer = _resolver().resolve(f"{name}.", "TXT", search=False, lifetime=TIMEOUT_SECONDS)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer, dns.resolver.NoNameservers, dns.resolver.YXDOMAIN):
        return []
    except dns.exception.DNSException:
        raise ResolverAway from None
    return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]


def _resolver() -> dns.resolver.Resolver:
    """The system's resolver, or the one that the setting `DNS_RESOLVER` names (`address:port`)."""
    if not settings.DNS_RESOLVER:
        return dns.resolver.Resolver()
    address, _, port = settings.DNS_RESOLVER.partition(":")
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [address]
    resolver.port = int(port or DEFAULT_PORT)
    return resolver
