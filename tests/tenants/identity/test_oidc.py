"""Single sign-on by OpenID Connect: who gets in, and everything that does not."""

import time
from typing import Any

import pytest

from kernel.audit.models import AuditEntry
from tenants.access.models import Group, Member, User
from tenants.access.permissions import Role
from tenants.access.services import groups, members
from tenants.identity.models import FederatedIdentity, IdentityProvider
from tenants.identity.sso import oidc
from tenants.identity.sso.errors import SignInRefused
from tests.cast import Person, new_person
from tests.tenants.identity.arriving import (
    JSON,
    PROVIDERS,
    Departure,
    a_browser,
    denials,
    depart,
    domain_of,
    path_of,
    refusal_of,
    session_of,
    set_up,
)
from tests.tenants.identity.openid_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    OTHER_KEY,
    OpenIdProvider,
    public_key,
    sign,
    sign_with_none,
    sign_with_the_public_key,
)

pytestmark = pytest.mark.usefixtures("stores")


def provider_of(person: Person, openid: OpenIdProvider, **wishes: Any) -> dict[str, Any]:
    return set_up(
        person,
        **{
            "kind": "oidc",
            "issuer": openid.issuer,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "default_role": "viewer",
            **wishes,
        },
    )


def come_back(departure: Departure, shown: dict[str, Any], query: dict[str, str]) -> Any:
    return departure.browser.get(path_of(shown["addresses"]["callback_url"]), query)


def sign_in(
    shown: dict[str, Any], openid: OpenIdProvider, email: str, **claims: Any
) -> tuple[Departure, Any]:
    """Go to the provider, be let in there, and come back."""
    departure = depart(shown["addresses"]["start_url"])
    subject = claims.pop("sub", f"subject of {email}")
    query = openid.let_in(departure.query, subject, email=email, **claims)
    return departure, come_back(departure, shown, query)


def refused(shown: dict[str, Any], openid: OpenIdProvider, email: str, **claims: Any) -> str:
    departure, answer = sign_in(shown, openid, email, **claims)
    code = refusal_of(answer)
    assert departure.browser.get("/api/v1/session").status_code == 401
    return code


def test_a_newcomer_of_a_verified_domain_comes_in_with_the_default_role(
    owner: Person, openid: OpenIdProvider
) -> None:
    email = f"ada@{domain_of(owner)}"
    departure, answer = sign_in(provider_of(owner, openid), openid, email, name="Ada Lovelace")
    assert (answer.status_code, answer["Location"]) == (302, "/")
    session = session_of(departure.browser)
    assert session["user"]["email"] == email
    assert session["user"]["name"] == "Ada Lovelace"
    assert session["organization"]["id"] == owner.organization.public_id
    assert session["role"] == "viewer"
    with owner.acting():
        actions = set(AuditEntry.objects.values_list("action", flat=True))
        assert {"session.sign_in", "member.add", "sso.bind", "sso.provider.create"} <= actions


def test_the_request_carries_state_nonce_and_a_hashed_challenge(
    owner: Person, openid: OpenIdProvider
) -> None:
    departure = depart(provider_of(owner, openid)["addresses"]["start_url"])
    assert departure.query["code_challenge_method"] == "S256"
    assert departure.query["response_type"] == "code"
    assert len({departure.query[name] for name in ("state", "nonce", "code_challenge")}) == 3
    assert "prompt" not in departure.query


def test_the_sign_in_page_finds_the_provider_by_the_address(owner: Person, openid: OpenIdProvider) -> None:
    domain = domain_of(owner)
    shown = provider_of(owner, openid)
    departure = depart(f"/accounts/sso?email=Ada@{domain.upper()}&next=/training")
    assert departure.query["login_hint"] == f"ada@{domain}"
    query = openid.let_in(departure.query, "1", email=f"ada@{domain}")
    assert come_back(departure, shown, query)["Location"] == "/training"


def test_single_sign_on_does_not_lead_to_another_site(owner: Person, openid: OpenIdProvider) -> None:
    shown = provider_of(owner, openid)
    departure = depart(f"{shown['addresses']['start_url']}?next=https://evil.example/")
    query = openid.let_in(departure.query, "1", email=f"ada@{domain_of(owner)}")
    assert come_back(departure, shown, query)["Location"] == "/"


def test_an_address_without_single_sign_on_is_told_so(owner: Person, openid: OpenIdProvider) -> None:
    provider_of(owner, openid)
    for email in ("nobody@unverified.example", "no address", "", "a@b@c.example"):
        answer = a_browser().get("/accounts/sso", {"email": email})
        assert (answer.status_code, refusal_of(answer)) == (404, "no_such_provider")


def test_a_person_who_comes_again_is_the_same_person(owner: Person, openid: OpenIdProvider) -> None:
    email, shown = f"ada@{domain_of(owner)}", provider_of(owner, openid)
    first, _ = sign_in(shown, openid, email)
    second, _ = sign_in(shown, openid, email)
    assert session_of(first.browser)["user"] == session_of(second.browser)["user"]
    with owner.acting():
        assert FederatedIdentity.objects.count() == 1


def test_the_subject_stays_the_same_person_when_the_address_changes(
    owner: Person, openid: OpenIdProvider
) -> None:
    domain, shown = domain_of(owner), provider_of(owner, openid)
    first, _ = sign_in(shown, openid, f"ada@{domain}", sub="42")
    second, _ = sign_in(shown, openid, f"ada.king@{domain}", sub="42")
    assert session_of(first.browser)["user"] == session_of(second.browser)["user"]


def test_an_address_that_was_given_to_somebody_else_opens_nothing(
    owner: Person, openid: OpenIdProvider
) -> None:
    email, shown = f"ada@{domain_of(owner)}", provider_of(owner, openid)
    sign_in(shown, openid, email, sub="42")
    assert refused(shown, openid, email, sub="43") == "sso_subject_changed"


def test_a_person_with_a_password_is_linked_where_the_domain_is_verified(
    owner: Person, openid: OpenIdProvider
) -> None:
    mate = renamed(new_person(Role.DEPLOYER, joining=owner), f"grace@{domain_of(owner)}")
    departure, _ = sign_in(provider_of(owner, openid), openid, mate.user.email)
    session = session_of(departure.browser)
    assert (session["user"]["id"], session["role"]) == (mate.user.public_id, "deployer")


def test_a_person_of_a_foreign_domain_is_not_linked(
    owner: Person, stranger: Person, openid: OpenIdProvider
) -> None:
    domain_of(owner)
    shown = provider_of(owner, openid)
    assert refused(shown, openid, stranger.user.email) == "sso_foreign_domain"
    assert refused(shown, openid, f"ada@{domain_of(stranger)}") == "sso_foreign_domain"
    assert denials(owner) == ["sso_foreign_domain", "sso_foreign_domain"]
    assert denials(stranger) == []


def test_a_subdomain_of_a_verified_domain_is_a_foreign_domain(owner: Person, openid: OpenIdProvider) -> None:
    email = f"ada@sub.{domain_of(owner)}"
    assert refused(provider_of(owner, openid), openid, email) == "sso_foreign_domain"


def test_an_address_that_only_looks_like_one_of_ours_is_refused(
    owner: Person, openid: OpenIdProvider
) -> None:
    domain, shown = domain_of(owner), provider_of(owner, openid)
    kelvin = f"\u212aate@{domain}"
    assert refused(shown, openid, kelvin) == "sso_no_email"
    assert refused(shown, openid, f"a@evil.example@{domain}") == "sso_no_email"
    openid.userinfo = {"sub": "1"}
    assert refused(shown, openid, "", sub="1") == "sso_no_email"


def test_one_organizations_provider_opens_no_other_organization(
    owner: Person, stranger: Person, openid: OpenIdProvider
) -> None:
    both = renamed(new_person(Role.VIEWER, joining=owner), f"both@{domain_of(owner)}")
    with stranger.acting():
        Member.objects.create(user=both.user)
    departure, _ = sign_in(provider_of(owner, openid), openid, both.user.email)
    assert [o["id"] for o in session_of(departure.browser)["organizations"]] == [owner.organization.public_id]
    choice = {"organization_id": stranger.organization.public_id}
    assert departure.browser.put("/api/v1/session", choice, content_type=JSON).status_code == 404
    assert len(session_of(both.browser)["organizations"]) == 2


def test_a_signed_in_person_keeps_what_their_own_factors_opened(
    owner: Person, stranger: Person, openid: OpenIdProvider
) -> None:
    both = renamed(new_person(Role.VIEWER, joining=owner), f"both@{domain_of(owner)}")
    with stranger.acting():
        Member.objects.create(user=both.user)
    shown = provider_of(owner, openid)
    departure = depart(shown["addresses"]["start_url"], both.browser)
    assert departure.query["prompt"] == "login"
    come_back(departure, shown, openid.let_in(departure.query, "1", email=both.user.email))
    assert len(session_of(departure.browser)["organizations"]) == 2


def test_without_newcomers_only_members_come_in(owner: Person, openid: OpenIdProvider) -> None:
    domain = domain_of(owner)
    shown = provider_of(owner, openid, just_in_time=False)
    assert refused(shown, openid, f"new@{domain}") == "sso_not_a_member"
    assert not User.objects.filter(email=f"new@{domain}").exists()
    mate = renamed(new_person(Role.VIEWER, joining=owner), f"mate@{domain}")
    departure, _ = sign_in(shown, openid, mate.user.email)
    assert session_of(departure.browser)["user"]["id"] == mate.user.public_id


def test_a_deactivated_member_does_not_come_in(owner: Person, openid: OpenIdProvider) -> None:
    mate = renamed(new_person(Role.VIEWER, joining=owner), f"mate@{domain_of(owner)}")
    with owner.acting():
        members.deactivate_member(members.find_member(mate.user.public_id), by=None)
    assert refused(provider_of(owner, openid), openid, mate.user.email) == "sso_deactivated"


def test_an_operator_of_the_platform_is_not_vouched_for(owner: Person, openid: OpenIdProvider) -> None:
    mate = renamed(new_person(Role.VIEWER, joining=owner), f"mate@{domain_of(owner)}")
    User.objects.filter(pk=mate.user.pk).update(is_operator=True)
    assert refused(provider_of(owner, openid), openid, mate.user.email) == "sso_not_for_operators"


def test_mapped_groups_follow_the_claim(owner: Person, openid: OpenIdProvider) -> None:
    domain = domain_of(owner)
    with owner.acting():
        analysts, others = groups.make_group("Analysts"), groups.make_group("Others")
    shown = provider_of(
        owner,
        openid,
        attributes={"groups": "teams"},
        group_map={"data": analysts.public_id, "other": others.public_id},
    )
    sign_in(shown, openid, f"ada@{domain}", teams=["data", "unknown"])
    assert groups_of(f"ada@{domain}", owner) == {"Analysts"}
    sign_in(shown, openid, f"ada@{domain}", teams="other")
    assert groups_of(f"ada@{domain}", owner) == {"Others"}


def test_an_address_is_asked_of_the_userinfo_where_the_token_has_none(
    owner: Person, openid: OpenIdProvider
) -> None:
    email, shown = f"ada@{domain_of(owner)}", provider_of(owner, openid)
    openid.userinfo = {"sub": "42", "email": email}
    departure, _ = sign_in(shown, openid, "", sub="42")
    assert session_of(departure.browser)["user"]["email"] == email
    openid.userinfo = {"sub": "43", "email": email}
    assert refused(shown, openid, "", sub="42") == "sso_wrong_subject"


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


def renamed(person: Person, email: str) -> Person:
    """The same person at another address."""
    User.objects.filter(pk=person.user.pk).update(email=email)
    person.user.refresh_from_db()
    return person


def groups_of(email: str, owner: Person) -> set[str]:
    """The names of the groups that the member is in, as guardian sees them."""
    auth_groups = User.objects.get(email=email).groups.all()
    with owner.acting():
        return set(Group.objects.filter(auth_group__in=auth_groups).values_list("name", flat=True))
