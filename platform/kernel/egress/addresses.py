"""Which addresses may be asked on a tenant's behalf: public ones, and those that the operator admits."""

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# IANA's special-purpose registries, spelled out: what `ipaddress` knows differs between versions of Python.
SPECIAL = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        # Protocol assignments (Teredo and ORCHID among them), documentation, 6to4, AS112.
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)
# All that is routed publicly lies in here.
GLOBAL_UNICAST = IPv6Network("2000::/3")
# A resolver on a network without IPv4 writes every IPv4 address like this (RFC 6052).
NAT64 = IPv6Network("64:ff9b::/96")
# Where clouds tell a machine its own credentials. Nobody admits these, whatever networks are admitted.
METADATA = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
    )
)


def may_be_asked(address: Address, admitted: tuple[Network, ...] = ()) -> bool:
    """Whether a connection to the address may be opened; `admitted` are networks that are not public."""
    real = _unwrapped(address)
    if real in METADATA or getattr(address, "scope_id", None):
        return False
    if any(real in network for network in admitted if network.version == real.version):
        return True
    return is_public(address)


def is_public(address: Address) -> bool:
    """Whether the address is one of the public internet, alone or in an IPv6 address that carries it."""
    real = _unwrapped(address)
    if real in METADATA or not real.is_global or real.is_multicast or real.is_reserved:
        return False
    if isinstance(real, IPv6Address) and real not in GLOBAL_UNICAST:
        return False
    return not any(real in network for network in SPECIAL if network.version == real.version)


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that a connection to this one would end at, where IPv6 only carries it."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address
