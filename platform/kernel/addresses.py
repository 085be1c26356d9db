"""From which network address a request comes: a proxy's word counts only where the proxy is trusted."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# What one customer of an access provider commonly gets: one address of version 4, a /64 of version 6.
CUSTOMER_PREFIX_BITS = {4: 32, 6: 64}


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


def _is_within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
