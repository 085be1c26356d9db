"""Whose address a request carries, with and without proxies in front."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.addresses import client_address, customer_network, is_within, network, parsed

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "header", "caller"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("fd00::1", "[2001:db8::5]:443", "2001:db8::5"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("", "198.51.100.1", ""),
    ],
)
def test_only_a_trusted_proxy_is_believed(peer: str, header: str, caller: str) -> None:
    assert client_address(peer, header, PROXIES) == caller


@given(st.text(max_size=200))
def test_whatever_the_header_says_an_untrusted_peer_is_itself(header: str) -> None:
    assert client_address("203.0.113.9", header, PROXIES) == "203.0.113.9"


@given(st.lists(st.one_of(st.ip_addresses().map(str), st.text(max_size=20))))
def test_a_forger_cannot_get_past_the_address_that_the_proxy_saw(forged: list[str]) -> None:
    header = ",".join([*forged, "198.51.100.7"])
    assert client_address("10.0.0.1", header, PROXIES) == "198.51.100.7"


@given(st.ip_addresses())
def test_every_address_is_read_back_and_has_a_network(address: object) -> None:
    assert parsed(str(address)) is not None
    assert customer_network(str(address))


def test_one_customer_counts_once() -> None:
    assert customer_network("2001:db8::1") == customer_network("2001:db8::ffff:1") == "2001:db8::"
    assert customer_network("198.51.100.1") != customer_network("198.51.100.2")
    assert customer_network("nobody") == ""


def test_networks_are_read_and_hold_their_addresses() -> None:
    networks = [network("10.1.0.0/16"), network("2001:db8::/32"), network("::ffff:192.0.2.0/120")]
    for inside in ("10.1.2.3", "::ffff:10.1.2.3", "2001:db8::7", "192.0.2.77"):
        assert is_within(inside, networks)
    for outside in ("10.2.0.1", "2001:db9::1", "192.0.3.1", "", "nobody"):
        assert not is_within(outside, networks)
    assert not is_within("10.1.2.3", [])


@pytest.mark.parametrize("text", ["", "10.0.0.1/8", "10.0.0.0/33", "2001:db8::/129", "example.com", "1.2.3"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        network(text)
