"""Setting identity providers up: what is kept, what is shown, what is refused."""

from typing import Any

import pytest

from kernel.audit.models import AuditEntry
from tenants.access.models import RoleAssignment
from tenants.access.permissions import Role
from tenants.access.services import groups, roles
from tenants.identity.models import FederatedIdentity, IdentityProvider
from tests.cast import Person, new_person, prove
from tests.tenants.identity.arriving import JSON, PROVIDERS, domain_of, set_up
from tests.tenants.identity.openid_arrivals import provider_of, sign_in
from tests.tenants.identity.openid_provider import CLIENT_ID, CLIENT_SECRET, OpenIdProvider
from tests.tenants.identity.saml_provider import ENTITY_ID, OURS, SIGN_IN_URL, metadata, new_credentials

pytestmark = pytest.mark.usefixtures("stores")


def create(person: Person, **body: Any) -> Any:
    whole = {"kind": "oidc", "name": "Ours", "issuer": "https://idp.example", "client_id": "x", **body}
    return person.browser.post(PROVIDERS, whole, content_type=JSON)


def error_of(answer: Any) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["param"]


def test_a_secret_is_sealed_and_never_shown(owner: Person, openid: OpenIdProvider) -> None:
    shown = provider_of(owner, openid)
    assert shown["has_client_secret"]
    everything = owner.browser.get(f"{PROVIDERS}/{shown['id']}").content.decode()
    with owner.acting():
        row = IdentityProvider.objects.get()
        logged = str(list(AuditEntry.objects.values_list("details", flat=True)))
    assert CLIENT_SECRET not in everything + logged
    assert CLIENT_SECRET.encode() not in bytes(row.sealed_secret)


def test_saml_is_set_up_by_metadata(owner: Person) -> None:
    shown = set_up(owner, kind="saml", metadata_xml=metadata())
    assert (shown["issuer"], shown["sign_in_url"]) == (ENTITY_ID, SIGN_IN_URL)
    assert len(shown["certificates"][0]["sha256"]) == 64
    base = f"/accounts/sso/{owner.organization.public_id}/{shown['id']}"
    assert shown["addresses"]["acs_url"].endswith(f"{base}/acs")
    assert shown["addresses"]["callback_url"] is None


def test_a_provider_is_changed_and_the_log_says_how(owner: Person, openid: OpenIdProvider) -> None:
    address = f"{PROVIDERS}/{provider_of(owner, openid)['id']}"
    answer = owner.browser.patch(address, {"name": "Renamed", "client_secret": "new"}, content_type=JSON)
    assert (answer.status_code, answer.json()["name"]) == (200, "Renamed")
    assert answer.json()["issuer"] == openid.issuer
    with owner.acting():
        entry = AuditEntry.objects.get(action="sso.provider.update")
    assert entry.details["after"] == {"name": "Renamed"}
    assert entry.details["new_secret"]


def test_a_removed_provider_forgets_whom_it_vouched_for(owner: Person, openid: OpenIdProvider) -> None:
    shown = provider_of(owner, openid)
    sign_in(shown, openid, f"ada@{domain_of(owner)}")
    assert owner.browser.delete(f"{PROVIDERS}/{shown['id']}").status_code == 204
    with owner.acting():
        assert not FederatedIdentity.objects.exists()


def test_a_stranger_does_not_find_the_provider(
    owner: Person, stranger: Person, openid: OpenIdProvider
) -> None:
    address = f"{PROVIDERS}/{provider_of(owner, openid)['id']}"
    assert owner.browser.get(address).status_code == 200
    for answer in (
        stranger.browser.get(address),
        stranger.browser.patch(address, {"name": "x"}, content_type=JSON),
        stranger.browser.post(f"{address}/test"),
        stranger.browser.delete(address),
    ):
        assert answer.status_code == 404
    assert stranger.browser.get(PROVIDERS).json()["data"] == []


def test_who_may_only_read_changes_nothing(owner: Person, openid: OpenIdProvider) -> None:
    address = f"{PROVIDERS}/{provider_of(owner, openid)['id']}"
    auditor = new_person(Role.AUDITOR, joining=owner)
    assert auditor.browser.get(PROVIDERS).json()["data"]
    assert auditor.browser.patch(address, {"name": "x"}, content_type=JSON).status_code == 403
    assert auditor.browser.post(f"{address}/test").status_code == 403
    assert create(auditor).status_code == 403


def test_an_old_session_confirms_itself_first(owner: Person) -> None:
    browser = owner.browser
    prove(browser, owner.user, seconds_ago=3600)
    body = {"kind": "oidc", "name": "x", "issuer": "https://idp.example", "client_id": "x"}
    answer = browser.post(PROVIDERS, body, content_type=JSON)
    assert error_of(answer)[:2] == (403, "reauthentication_required")


WRONG = {
    "an owner as the default": ({"default_role": "owner"}, "default_role"),
    "no issuer": ({"issuer": ""}, "issuer"),
    "no client": ({"client_id": ""}, "client_id"),
    "another kind": ({"kind": "ldap"}, "kind"),
    "an unknown attribute": ({"attributes": {"shoe": "size"}}, "attributes"),
    "an unknown field": ({"secret": "x"}, "secret"),
    "another type": ({"just_in_time": "yes"}, "just_in_time"),
    "an unknown group": ({"group_map": {"x": "group_unknown"}}, "group_map"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_provider_is_refused_with(owner: Person, wrong: str) -> None:
    body, param = WRONG[wrong]
    answer = create(owner, **body)
    assert answer.status_code in {400, 404}
    assert answer.json()["error"]["param"] == param


def test_an_issuer_in_the_clear_or_inside_our_network_is_refused(owner: Person) -> None:
    assert error_of(create(owner, issuer="http://idp.example"))[1] == "address_refused"
    shown = create(owner, issuer="https://127.0.0.1").json()
    checks = owner.browser.post(f"{PROVIDERS}/{shown['id']}/test").json()
    assert (checks["ok"], checks["checks"][0]["name"]) == (False, "discovery")
    body = {"kind": "saml", "name": "x", "metadata_url": "https://169.254.169.254/metadata"}
    answer = owner.browser.post(PROVIDERS, body, content_type=JSON)
    assert error_of(answer)[:2] == (400, "address_refused")


def test_a_name_is_used_once(owner: Person) -> None:
    assert create(owner).status_code == 201
    assert error_of(create(owner))[:2] == (409, "provider_name_taken")


def test_a_provider_gives_no_more_than_its_maker_has(owner: Person) -> None:
    """An administrator cannot make owners by way of a group that owns."""
    admin = new_person(Role.ADMIN, joining=owner)
    with owner.acting():
        owners = groups.make_group("Owners")
        roles.assign(roles.BuiltIn(Role.OWNER), to=owners)
        assert RoleAssignment.objects.filter(group=owners).exists()
    answer = create(admin, group_map={"bosses": owners.public_id})
    assert error_of(answer)[:2] == (403, "escalation")
    assert create(owner, group_map={"bosses": owners.public_id}).status_code == 201


def test_a_provisioned_group_is_not_filled_twice(owner: Person) -> None:
    with owner.acting():
        group = groups.make_group("Directory's", scim_managed=True)
    assert error_of(create(owner, group_map={"x": group.public_id}))[2] == "group_map"


def test_the_connection_is_tested_before_anybody_depends_on_it(owner: Person, openid: OpenIdProvider) -> None:
    address = f"{PROVIDERS}/{provider_of(owner, openid)['id']}"
    assert owner.browser.post(f"{address}/test").json() == {
        "ok": True,
        "checks": [{"name": name, "ok": True, "message": ""} for name in ("discovery", "keys")],
    }
    assert owner.browser.get(address).json()["tested_at"]
    openid.keys = []
    found = owner.browser.post(f"{address}/test").json()
    assert (found["ok"], found["checks"][1]["ok"]) == (False, False)


def test_an_expired_certificate_is_noticed(owner: Person) -> None:
    for credentials, ok in ((OURS, True), (new_credentials(days=-1), False)):
        shown = set_up(owner, kind="saml", metadata_xml=metadata(credentials))
        assert owner.browser.post(f"{PROVIDERS}/{shown['id']}/test").json()["ok"] is ok


def test_a_repeated_request_creates_one_provider(owner: Person) -> None:
    body = {"kind": "oidc", "name": "Once", "issuer": "https://idp.example", "client_id": CLIENT_ID}
    headers = {"Idempotency-Key": "the same"}
    answers = [
        owner.browser.post(PROVIDERS, body, content_type=JSON, headers=headers).json() for _ in range(2)
    ]
    assert answers[0]["id"] == answers[1]["id"]
    assert len(owner.browser.get(PROVIDERS).json()["data"]) == 1
