"""Name servers and identity providers on loopback, which the platform is told to ask.

Django is not set up yet when this file is read: what needs models imports them when it is called.
"""

from collections.abc import Iterator
from ipaddress import ip_network

import pytest
from django.test import override_settings

from tests.tenants.identity import name_server
from tests.tenants.identity.name_server import NameServer
from tests.tenants.identity.openid_provider import OpenIdProvider


@pytest.fixture
def names() -> Iterator[NameServer]:
    """The name server that the platform asks."""
    with name_server.running() as server, override_settings(DNS_RESOLVER=server.address):
        yield server


@pytest.fixture
def openid() -> Iterator[OpenIdProvider]:
    """An OpenID provider that the platform may reach."""
    server = OpenIdProvider()
    admitted = {
        "EGRESS_ALLOWED_NETWORKS": [ip_network("127.0.0.0/8")],
        "EGRESS_ALLOW_PLAIN_HTTP": True,
        "EGRESS_ALLOWED_PORTS": [server.port, 443],
    }
    with override_settings(**admitted):
        yield server
    server.close()
