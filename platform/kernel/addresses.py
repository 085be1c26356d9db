"""From which network address a request comes: a proxy's word counts only where the proxy is trusted."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# What one customer of an access provider commonly gets: one address of version 4, a /64 of version 6.
CUSTOMER_PREFIX_BITS = {4: 32, 6: 64}
# Of an IPv6 address that stands for an IPv4 one (::ffff:0:0/96).
MAPPED_PREFIX_BITS = 96


def client_address(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> str:
    """The address of the caller: the peer, or what trusted proxies say of it in `X-Forwarded-For`.

    The header is read from its end, where the nearest proxy wrote; the first address that is no trusted
    proxy's is the caller's. What stands before it was sent by the caller, who may write anything.
    """
    here = parsed(peer)
    if here is None:
        return ""
    for entry in reversed([entry.strip() for entry in forwarded_for.split(",") if entry.strip()]):
        if not _is_within(here, trusted):
            break
        before = parsed(entry)
        if before is None:
            break
        here = before
    return str(here)


def parsed(text: str) -> Address | None:
    """The address in a text, with or without a port; None where there is none."""
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        found = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    # An IPv4 caller of a dual-stack socket is the same caller.
    return getattr(found, "ipv4_mapped", None) or found


def customer_network(address: str) -> str:
    """The first address of the network that one customer has, for counting by caller; "" for no address."""
    found = parsed(address)
    if found is None:
        return ""
    network = ip_network((found, CUSTOMER_PREFIX_BITS[found.version]), strict=False)
    return str(network.network_address)


def network(text: str) -> Network:
    """The network in a text like `10.1.0.0/16`; one address is a network of its own. Raises `ValueError`."""
    found = ip_network(text.strip())
    # An IPv4 caller of a dual-stack socket is read as IPv4, so that its network must be too.
    mapped = getattr(found.network_address, "ipv4_mapped", None)
    if mapped is not None and found.prefixlen >= MAPPED_PREFIX_BITS:
        return ip_network((mapped, found.prefixlen - MAPPED_PREFIX_BITS))
    return found


def is_within(address: str, networks: Sequence[Network]) -> bool:
    """Whether an address lies in one of the networks; no address lies in none."""
    found = parsed(address)
    return found is not None and _is_within(found, networks)


def _is_within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
