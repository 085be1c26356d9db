"""Required single sign-on: who can still come in otherwise, and what a session may see."""

from typing import Any

import pytest

from kernel.audit.models import AuditEntry
from tenants.access.models import Member
from tenants.access.permissions import Role
from tenants.access.services import members
from tenants.identity.models import Domain
from tests.cast import Person, new_person
from tests.tenants.identity.arriving import JSON, PROVIDERS, depart, domain_of, refusal_of, session_of
from tests.tenants.identity.openid_arrivals import come_back, provider_of, renamed, sign_in
from tests.tenants.identity.openid_provider import OpenIdProvider

pytestmark = pytest.mark.usefixtures("stores")
POLICY = "/api/v1/organization/sso-policy"


def require(person: Person, *excepted: Person, browser: Any = None) -> Any:
    body = {"require_sso": True, "break_glass": [each.user.public_id for each in excepted]}
    return (browser or person.browser).put(POLICY, body, content_type=JSON)


def test_single_sign_on_is_required_only_when_it_can_work(owner: Person, openid: OpenIdProvider) -> None:
    answer = require(owner)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "sso_not_ready")
    domain_of(owner)
    assert require(owner).status_code == 409
    provider_of(owner, openid)
    assert require(owner).json() == {"require_sso": True, "break_glass": []}
    assert owner.browser.get(POLICY).json() == {"require_sso": True, "break_glass": []}


def test_sessions_made_by_password_lose_the_organization_at_once(
    owner: Person, openid: OpenIdProvider
) -> None:
    mate = renamed(new_person(Role.VIEWER, joining=owner), f"mate@{domain_of(owner)}")
    shown, browser = provider_of(owner, openid), mate.browser
    assert browser.get("/api/v1/session").status_code == 200
    require(owner)
    assert browser.get("/api/v1/session").status_code == 401
    departure, _ = sign_in(shown, openid, mate.user.email)
    assert session_of(departure.browser)["organization"]["id"] == owner.organization.public_id


def test_a_password_still_opens_the_persons_other_organizations(
    owner: Person, stranger: Person, openid: OpenIdProvider
) -> None:
    both = renamed(new_person(Role.VIEWER, joining=owner), f"both@{domain_of(owner)}")
    with stranger.acting():
        Member.objects.create(user=both.user)
    provider_of(owner, openid)
    require(owner)
    session = session_of(both.browser)
    assert [each["id"] for each in session["organizations"]] == [stranger.organization.public_id]
    choice = {"organization_id": owner.organization.public_id}
    assert both.browser.put("/api/v1/session", choice, content_type=JSON).status_code == 404


def test_a_guest_of_another_domain_comes_in_as_before(owner: Person, openid: OpenIdProvider) -> None:
    domain_of(owner)
    guest = new_person(Role.VIEWER, joining=owner)
    provider_of(owner, openid)
    require(owner)
    assert session_of(guest.browser)["role"] == "viewer"


def test_keys_go_on_working(owner: Person, openid: OpenIdProvider) -> None:
    mate = renamed(new_person(Role.VIEWER, joining=owner), f"mate@{domain_of(owner)}")
    provider_of(owner, openid)
    require(owner)
    assert mate.program.get("/v1/files").status_code == 200


def test_an_owner_can_be_excepted_by_name_and_it_is_recorded(owner: Person, openid: OpenIdProvider) -> None:
    domain = domain_of(owner)
    renamed(owner, f"owner@{domain}")
    second = renamed(new_person(Role.OWNER, joining=owner), f"second@{domain}")
    provider_of(owner, openid)
    browser = owner.browser
    assert require(owner, owner, browser=browser).status_code == 200
    assert browser.get("/api/v1/session").status_code == 200
    assert second.browser.get("/api/v1/session").status_code == 401
    with owner.acting():
        entry = AuditEntry.objects.get(action="sso.policy.update")
    assert entry.details["before"] == {"require_sso": False, "break_glass": []}
    assert entry.details["after"] == {"require_sso": True, "break_glass": [owner.user.public_id]}


def test_only_owners_can_be_excepted(owner: Person, stranger: Person, openid: OpenIdProvider) -> None:
    admin = new_person(Role.ADMIN, joining=owner)
    domain_of(owner)
    provider_of(owner, openid)
    for person in (admin, stranger):
        answer = require(owner, person)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "break_glass")


def test_an_exception_ends_with_the_ownership(owner: Person, openid: OpenIdProvider) -> None:
    second = renamed(new_person(Role.OWNER, Role.VIEWER, joining=owner), f"second@{domain_of(owner)}")
    provider_of(owner, openid)
    require(owner, second)
    assert session_of(second.browser)["role"] == "owner"
    with owner.acting():
        row = members.find_member(second.user.public_id)
        members.set_roles(row, [], by=owner.principal)
    assert second.browser.get("/api/v1/session").status_code == 401


def test_what_required_single_sign_on_stands_on_cannot_be_removed(
    owner: Person, openid: OpenIdProvider
) -> None:
    domain_of(owner)
    shown = provider_of(owner, openid)
    require(owner)
    with owner.acting():
        domain = Domain.objects.get().public_id
    provider = f"{PROVIDERS}/{shown['id']}"
    for answer in (
        owner.browser.delete(provider),
        owner.browser.patch(provider, {"is_active": False}, content_type=JSON),
        owner.browser.delete(f"/api/v1/organization/domains/{domain}"),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "sso_required")
    body = {"require_sso": False}
    assert owner.browser.put(POLICY, body, content_type=JSON).status_code == 200
    assert owner.browser.delete(provider).status_code == 204


def test_only_who_may_write_single_sign_on_requires_it(owner: Person, openid: OpenIdProvider) -> None:
    domain_of(owner)
    provider_of(owner, openid)
    auditor, viewer = new_person(Role.AUDITOR, joining=owner), new_person(Role.VIEWER, joining=owner)
    assert auditor.browser.get(POLICY).status_code == 200
    assert require(auditor).status_code == 403
    assert viewer.browser.get(POLICY).status_code == 403


def test_whoever_an_organization_vouched_for_cannot_touch_the_persons_own_factors(
    owner: Person, openid: OpenIdProvider
) -> None:
    mate = renamed(new_person(Role.VIEWER, joining=owner), f"mate@{domain_of(owner)}")
    departure, _ = sign_in(provider_of(owner, openid), openid, mate.user.email)
    for page in ("password", "password/set", "factors", "factors/keys/add", "email"):
        answer = departure.browser.get(f"/accounts/{page}")
        assert refusal_of(answer) == "signed_in_by_organization"
        assert departure.browser.post(f"/accounts/{page}").status_code == 403
    assert mate.browser.get("/accounts/factors").status_code == 200


def test_a_lost_domain_lets_its_people_in_by_password_again(owner: Person, openid: OpenIdProvider) -> None:
    mate = renamed(new_person(Role.VIEWER, joining=owner), f"mate@{domain_of(owner)}")
    provider_of(owner, openid)
    require(owner)
    assert mate.browser.get("/api/v1/session").status_code == 401
    with owner.acting():
        Domain.objects.update(verified_at=None)
    assert mate.browser.get("/api/v1/session").status_code == 200


def test_the_console_sends_who_came_by_password_to_the_organizations_sign_in(
    owner: Person, openid: OpenIdProvider
) -> None:
    mate = renamed(new_person(Role.VIEWER, joining=owner), f"mate@{domain_of(owner)}")
    shown, browser = provider_of(owner, openid), mate.browser
    require(owner)
    answer = browser.get("/training")
    assert answer.status_code == 302
    departure = depart(answer["Location"], browser)
    back = come_back(departure, shown, openid.let_in(departure.query, "1", email=mate.user.email))
    assert back["Location"] == "/training"
    assert browser.get("/training").status_code == 200
