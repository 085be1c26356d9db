"""Single sign-on by OpenID Connect: who comes in, and as whom."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.cache import caches
from django.db import connections

from kernel.audit.models import AuditEntry
from tenants.access.models import Group, Member, User
from tenants.access.permissions import Role
from tenants.access.services import groups, members
from tenants.identity.models import FederatedIdentity
from tenants.identity.sso import arrival
from tests.cast import Person, new_person
from tests.tenants.identity.arriving import (
    JSON,
    a_browser,
    denials,
    depart,
    domain_of,
    refusal_of,
    session_of,
)
from tests.tenants.identity.openid_arrivals import come_back, provider_of, refused, renamed, sign_in
from tests.tenants.identity.openid_provider import (
    OpenIdProvider,
)

pytestmark = pytest.mark.usefixtures("stores")


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


def groups_of(email: str, owner: Person) -> set[str]:
    """The names of the groups that the member is in, as guardian sees them."""
    auth_groups = User.objects.get(email=email).groups.all()
    with owner.acting():
        return set(Group.objects.filter(auth_group__in=auth_groups).values_list("name", flat=True))


def test_a_newcomer_in_several_tabs_at_once_becomes_one_member(owner: Person, openid: OpenIdProvider) -> None:
    email, shown = f"ada@{domain_of(owner)}", provider_of(owner, openid)
    departures = [depart(shown["addresses"]["start_url"]) for _ in range(4)]
    queries = [openid.let_in(each.query, "42", email=email) for each in departures]

    def finish(place: int) -> int:
        try:
            return int(come_back(departures[place], shown, queries[place]).status_code)
        finally:
            connections.close_all()
            # Django keeps a thread's connections to Valkey until they are collected.
            caches["default"]._cache.get_client().connection_pool.disconnect()

    with ThreadPoolExecutor(4) as tabs:
        assert list(tabs.map(finish, range(4))) == [302] * 4
    with owner.acting():
        assert Member.objects.filter(user__email=email).count() == 1


def test_who_was_bound_since_one_looked_is_no_other_person(
    owner: Person, openid: OpenIdProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    email, shown = f"ada@{domain_of(owner)}", provider_of(owner, openid)
    for _ in range(2):
        departure = depart(shown["addresses"]["start_url"])
        query = openid.let_in(departure.query, "42", email=email)
        assert come_back(departure, shown, query).status_code == 302
        monkeypatch.setattr(arrival, "_bound", lambda provider, subject: None)
