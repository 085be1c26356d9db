"""Single sign-on with an OpenID provider that somebody else wrote."""

import warnings
from importlib import import_module
from ipaddress import ip_network
from typing import Any

import httpx
import pytest

from tests.cast import Person
from tests.tenants.identity.arriving import PROVIDERS, depart, domain_of, path_of, session_of, set_up


def independent() -> Any:
    """The provider's package; a library that it stands on says at its import that it has aged."""
    with warnings.catch_warnings(record=True):
        return import_module("oidc_provider_mock")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_person_comes_in_by_a_provider_that_is_not_ours(owner: Person, settings_with: Any) -> None:
    email = f"ada@{domain_of(owner)}"
    mock = independent()
    person = mock.User(sub="ada", claims={"email": email, "name": "Ada Lovelace"})
    with mock.run_server_in_thread(user_claims=[person]) as server:
        port = server.server_port
        admitted = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
        with settings_with(
            EGRESS_ALLOWED_NETWORKS=admitted, EGRESS_ALLOW_PLAIN_HTTP=True, EGRESS_ALLOWED_PORTS=[port]
        ):
            shown = set_up(
                owner, kind="oidc", issuer=f"http://localhost:{port}", client_id="ours", client_secret="x"
            )
            tested = owner.browser.post(f"{PROVIDERS}/{shown['id']}/test").json()
            assert tested["ok"], tested
            departure = depart(shown["addresses"]["start_url"])
            allowed = httpx.post(departure.url, data={"sub": "ada"})
            answer = departure.browser.get(path_of(allowed.headers["Location"]))
    assert answer.status_code == 302, answer.content
    assert session_of(departure.browser)["user"]["email"] == email
