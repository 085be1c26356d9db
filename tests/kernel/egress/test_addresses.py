"""Which numbers are public, in every spelling."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.egress.addresses import METADATA, NAT64, is_public, may_be_asked

NOT_PUBLIC = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:7f00:1::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
PUBLIC = ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_refused(text: str) -> None:
    assert not may_be_asked(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_may_be_asked(text: str) -> None:
    assert may_be_asked(ip_address(text))


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_the_same_inside_an_ipv6_one(address: IPv4Address) -> None:
    mapped = IPv6Address(int(address) | 0xFFFF << 32)
    translated = IPv6Address(int(address) | int(NAT64.network_address))
    assert is_public(address) == is_public(mapped) == is_public(translated)


@given(st.ip_addresses())
def test_nothing_that_python_calls_private_is_ever_public(address: IPv4Address | IPv6Address) -> None:
    if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast:
        carried = isinstance(address, IPv6Address) and (address.ipv4_mapped or address in NAT64)
        assert carried or not is_public(address)


def test_the_operator_admits_a_network_and_nothing_beside_it() -> None:
    admitted = (ip_network("10.1.0.0/16"), ip_network("fd12::/16"))
    assert may_be_asked(ip_address("10.1.2.3"), admitted)
    assert may_be_asked(ip_address("::ffff:10.1.2.3"), admitted)
    assert may_be_asked(ip_address("fd12::1"), admitted)
    assert not may_be_asked(ip_address("10.2.0.1"), admitted)


def test_no_network_that_is_admitted_opens_the_metadata_addresses() -> None:
    everything = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    assert not any(may_be_asked(address, everything) for address in METADATA)
    assert not may_be_asked(ip_address("::ffff:169.254.169.254"), everything)
    assert not may_be_asked(ip_address("fe80::1%eth0"), everything)
