"""Single sign-on by OpenID Connect: every token and every answer that is refused."""

import time
from typing import Any

import pytest
import redis

from tenants.identity.models import IdentityProvider
from tenants.identity.sso import oidc
from tenants.identity.sso.errors import SignInRefused
from tests.cast import Person
from tests.tenants.identity.arriving import (
    JSON,
    PROVIDERS,
    a_browser,
    denials,
    depart,
    domain_of,
    path_of,
    refusal_of,
    session_of,
)
from tests.tenants.identity.openid_arrivals import come_back, provider_of, refused, sign_in
from tests.tenants.identity.openid_provider import (
    CLIENT_ID,
    OTHER_KEY,
    OpenIdProvider,
    public_key,
    sign,
    sign_with_none,
    sign_with_the_public_key,
)

pytestmark = pytest.mark.usefixtures("stores")


def test_a_token_without_a_signature_is_refused(owner: Person, openid: OpenIdProvider) -> None:
    openid.signer = sign_with_none
    email = f"ada@{domain_of(owner)}"
    assert refused(provider_of(owner, openid), openid, email) == "sso_bad_signature"


def test_a_token_signed_by_hmac_with_the_public_key_is_refused(owner: Person, openid: OpenIdProvider) -> None:
    openid.signer = sign_with_the_public_key
    email = f"ada@{domain_of(owner)}"
    assert refused(provider_of(owner, openid), openid, email) == "sso_bad_signature"


def test_a_published_symmetric_key_is_no_key(owner: Person, openid: OpenIdProvider) -> None:
    openid.signer = lambda claims: sign(claims, "a" * 64, "HS256")
    openid.keys = [public_key(), {"kty": "oct", "k": "YQ" * 43, "kid": "one", "alg": "HS256"}]
    email = f"ada@{domain_of(owner)}"
    assert refused(provider_of(owner, openid), openid, email) == "sso_bad_signature"


def test_a_token_signed_by_another_key_is_refused(owner: Person, openid: OpenIdProvider) -> None:
    shown, email = provider_of(owner, openid), f"ada@{domain_of(owner)}"
    openid.signer = lambda claims: sign(claims, OTHER_KEY)
    assert refused(shown, openid, email) == "sso_bad_signature"
    openid.signer = lambda claims: sign(claims, OTHER_KEY, kid="two")
    assert refused(shown, openid, email) == "sso_unknown_key"


def test_a_key_for_one_algorithm_verifies_no_other(owner: Person, openid: OpenIdProvider) -> None:
    openid.keys = [{**public_key(), "alg": "RS256"}]
    openid.signer = lambda claims: sign(claims, algorithm="RS512")
    email = f"ada@{domain_of(owner)}"
    assert refused(provider_of(owner, openid), openid, email) == "sso_unknown_key"


WRONG_CLAIMS = {
    "another audience": ({"aud": "another client"}, "sso_wrong_audience"),
    "an audience among others without a party": ({"aud": [CLIENT_ID, "another"]}, "sso_wrong_audience"),
    "another authorized party": ({"azp": "another client"}, "sso_wrong_audience"),
    "another issuer": ({"iss": "https://evil.example"}, "sso_wrong_issuer"),
    "an expired token": ({"exp": int(time.time()) - 3600}, "sso_expired"),
    "a token from the future": ({"iat": int(time.time()) + 9000}, "sso_bad_signature"),
    "a token not valid yet": ({"nbf": int(time.time()) + 9000}, "sso_bad_signature"),
    "another nonce": ({"nonce": "another"}, "sso_wrong_nonce"),
    "an unverified address": ({"email_verified": False}, "sso_email_unverified"),
}


@pytest.mark.parametrize("wrong", WRONG_CLAIMS)
def test_a_token_is_refused_that_has(owner: Person, openid: OpenIdProvider, wrong: str) -> None:
    claims, code = WRONG_CLAIMS[wrong]
    openid.claims = claims
    email = f"ada@{domain_of(owner)}"
    assert refused(provider_of(owner, openid), openid, email) == code
    assert denials(owner) == [code]


@pytest.mark.parametrize("missing", ["exp", "iat", "sub", "aud", "iss", "nonce"])
def test_a_token_is_refused_that_lacks(owner: Person, openid: OpenIdProvider, missing: str) -> None:
    openid.signer = lambda claims: sign({k: v for k, v in claims.items() if k != missing})
    email = f"ada@{domain_of(owner)}"
    assert refused(provider_of(owner, openid), openid, email).startswith("sso_")


def test_a_clock_that_differs_a_little_is_borne(owner: Person, openid: OpenIdProvider) -> None:
    openid.claims = {"exp": int(time.time()) - 20, "iat": int(time.time()) + 30}
    departure, _ = sign_in(provider_of(owner, openid), openid, f"ada@{domain_of(owner)}")
    assert session_of(departure.browser)["user"]


def test_an_answer_is_used_once(owner: Person, openid: OpenIdProvider) -> None:
    shown = provider_of(owner, openid)
    departure = depart(shown["addresses"]["start_url"])
    query = openid.let_in(departure.query, "1", email=f"ada@{domain_of(owner)}")
    assert come_back(departure, shown, query).status_code == 302
    assert refusal_of(come_back(departure, shown, query)) == "sso_unknown_state"


def test_a_nonce_is_used_once_even_by_two_at_once(owner: Person, openid: OpenIdProvider) -> None:
    shown = provider_of(owner, openid)
    departure = depart(shown["addresses"]["start_url"])
    kept = dict(departure.browser.session["sso_pending"])
    query = openid.let_in(departure.query, "1", email=f"ada@{domain_of(owner)}")
    assert come_back(departure, shown, query).status_code == 302
    session = departure.browser.session
    session["sso_pending"] = kept
    session.save()
    assert refusal_of(come_back(departure, shown, query)) == "sso_replayed"


def test_an_answer_opens_no_browser_that_did_not_ask(owner: Person, openid: OpenIdProvider) -> None:
    shown = provider_of(owner, openid)
    departure = depart(shown["addresses"]["start_url"])
    query = openid.let_in(departure.query, "1", email=f"ada@{domain_of(owner)}")
    victim = a_browser()
    answer = victim.get(path_of(shown["addresses"]["callback_url"]), query)
    assert refusal_of(answer) == "sso_unknown_state"
    assert victim.get("/api/v1/session").status_code == 401


def test_an_answer_to_one_organization_is_no_answer_to_another(
    owner: Person, stranger: Person, openid: OpenIdProvider
) -> None:
    ours, theirs = provider_of(owner, openid), provider_of(stranger, openid)
    departure = depart(ours["addresses"]["start_url"])
    query = openid.let_in(departure.query, "1", email=f"ada@{domain_of(stranger)}")
    assert refusal_of(come_back(departure, theirs, query)) == "sso_wrong_provider"
    mixed = ours["addresses"]["callback_url"].replace(
        owner.organization.public_id, stranger.organization.public_id
    )
    assert refusal_of(departure.browser.get(path_of(mixed), query)) == "no_such_provider"


def test_an_answer_that_names_another_issuer_is_refused(owner: Person, openid: OpenIdProvider) -> None:
    shown = provider_of(owner, openid)
    departure = depart(shown["addresses"]["start_url"])
    query = openid.let_in(departure.query, "1", email=f"ada@{domain_of(owner)}")
    answer = come_back(departure, shown, {**query, "iss": "https://evil.example"})
    assert refusal_of(answer) == "sso_wrong_issuer"


def test_an_intercepted_code_is_worthless_without_its_verifier(owner: Person, openid: OpenIdProvider) -> None:
    shown = provider_of(owner, openid)
    victim, thief = depart(shown["addresses"]["start_url"]), depart(shown["addresses"]["start_url"])
    query = openid.let_in(victim.query, "1", email=f"ada@{domain_of(owner)}")
    answer = come_back(thief, shown, {**query, "state": thief.query["state"]})
    assert refusal_of(answer) == "provider_unusable"


def test_a_declined_sign_in_is_said_to_be_so(owner: Person, openid: OpenIdProvider) -> None:
    shown = provider_of(owner, openid)
    departure = depart(shown["addresses"]["start_url"])
    query = {"error": "access_denied", "state": departure.query["state"]}
    assert refusal_of(come_back(departure, shown, query)) == "sso_declined"


def test_a_provider_that_calls_itself_otherwise_is_not_asked_further(
    owner: Person, openid: OpenIdProvider
) -> None:
    shown = provider_of(owner, openid)
    openid.published = {"issuer": "https://login.microsoftonline.com/{tenantid}/v2.0"}
    answer = a_browser().get(path_of(shown["addresses"]["start_url"]))
    assert refusal_of(answer) == "provider_unusable"


def test_a_provider_cannot_send_us_into_our_own_network(owner: Person, openid: OpenIdProvider) -> None:
    shown = provider_of(owner, openid)
    departure = depart(shown["addresses"]["start_url"])
    openid.published = {"token_endpoint": "http://169.254.169.254:443/latest/meta-data"}
    query = openid.let_in(departure.query, "1", email=f"ada@{domain_of(owner)}")
    assert refusal_of(come_back(departure, shown, query)) == "address_refused"


def test_an_inactive_provider_opens_nothing(owner: Person, openid: OpenIdProvider) -> None:
    email, shown = f"ada@{domain_of(owner)}", provider_of(owner, openid)
    address = f"{PROVIDERS}/{shown['id']}"
    departure = depart(shown["addresses"]["start_url"])
    assert owner.browser.patch(address, {"is_active": False}, content_type=JSON).status_code == 200
    query = openid.let_in(departure.query, "1", email=email)
    assert refusal_of(come_back(departure, shown, query)) == "no_such_provider"
    assert refusal_of(a_browser().get("/accounts/sso", {"email": email})) == "no_such_provider"


def test_an_issuer_that_serves_others_too_must_name_the_organizations_domain() -> None:
    provider = IdentityProvider(issuer="https://accounts.google.com", attributes={}, required_claims={})
    claims = {"sub": "1", "email": "ada@example.com", "hd": "example.com"}
    assert oidc._asserted(provider, claims).email == "ada@example.com"
    with pytest.raises(SignInRefused):
        oidc._asserted(provider, {**claims, "hd": "other.example"})
    with pytest.raises(SignInRefused):
        oidc._asserted(provider, {"sub": "1", "email": "ada@example.com"})


@pytest.mark.parametrize("key", [{"kty": "RSA"}, {"kty": "RSA", "n": "!", "e": 5}, {"kty": "EC", "crv": "x"}])
def test_a_published_key_that_is_none_is_no_crash(
    owner: Person, openid: OpenIdProvider, key: dict[str, Any]
) -> None:
    openid.keys = [{**key, "kid": "one"}]
    email = f"ada@{domain_of(owner)}"
    assert refused(provider_of(owner, openid), openid, email) == "sso_bad_signature"


def test_nobody_is_let_in_while_nothing_is_remembered(
    owner: Person, openid: OpenIdProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = provider_of(owner, openid)
    departure = depart(shown["addresses"]["start_url"])
    query = openid.let_in(departure.query, "1", email=f"ada@{domain_of(owner)}")

    def away(*args: Any, **kwargs: Any) -> bool:
        raise redis.ConnectionError

    monkeypatch.setattr("tenants.identity.sso.pending.cache.add", away)
    answer = come_back(departure, shown, query)
    assert (answer.status_code, refusal_of(answer)) == (503, "unavailable")
