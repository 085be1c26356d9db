"""Name servers and identity providers on loopback, which the platform is told to ask.

Django is not set up yet when this file is read: what needs models imports them when it is called.
"""

from collections.abc import Iterator
from importlib import import_module
from ipaddress import ip_network

import pytest
from django.core import mail
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


@pytest.fixture
def letters() -> Iterator[None]:
    """Keep what is mailed, for the test to read (`visiting.letters_to`)."""
    with override_settings(EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend"):
        mail.outbox = []
        yield


@pytest.fixture
def open_house(stores: object) -> Iterator[None]:
    """Anybody may sign up."""
    policies = import_module("tenants.limits.models").PlatformPolicy.objects.filter(pk=1)
    before = policies.get()
    policies.update(sign_up_mode="open", trials_per_day=None)
    yield
    policies.update(sign_up_mode=before.sign_up_mode, trials_per_day=before.trials_per_day)
