"""Authenticator apps, recovery codes, and organizations that require a second factor."""

import re
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.core.management import call_command
from django.db import connection
from django.test import Client

from kernel.audit.models import AuditEntry
from tenants.organizations.models import Organization
from tests.cast import Person, prove
from tests.tenants.identity.visiting import (
    code_of,
    enter,
    is_signed_in,
    letters_to,
    secret_on,
    set_up_app,
    somebody,
)

pytestmark = pytest.mark.usefixtures("letters")
FACTOR = "/accounts/sign-in/factor"


def with_app(owner: Person) -> tuple[Client, str]:
    """A signed-in browser of the owner, who has set up an app; the app's secret."""
    browser = somebody()
    enter(browser, owner.user.email)
    return browser, set_up_app(browser)


def second_step(browser: Client, code: str) -> Any:
    return browser.post(FACTOR, {"code": code})


def codes_of(browser: Client) -> list[str]:
    return re.findall(r"<li>(\d{8})</li>", browser.get("/accounts/factors/codes").content.decode())


def test_after_setting_up_an_app_the_password_alone_is_not_enough(owner: Person) -> None:
    _, secret = with_app(owner)
    browser = somebody()
    answer = enter(browser, owner.user.email, next="/training")
    assert answer["Location"] == FACTOR
    assert not is_signed_in(browser)
    assert browser.get("/")["Location"].startswith("/accounts/sign-in")
    assert second_step(browser, "000000").status_code == 200
    assert not is_signed_in(browser)
    assert second_step(browser, code_of(secret, steps_ahead=1))["Location"] == "/training"
    assert is_signed_in(browser)


def test_a_code_counts_once_even_the_one_that_set_the_app_up(owner: Person) -> None:
    browser = somebody()
    enter(browser, owner.user.email)
    secret = secret_on(browser.get("/accounts/factors/app"))
    code = code_of(secret)
    assert browser.post("/accounts/factors/app", {"code": code}).status_code == 302
    first, second = somebody(), somebody()
    for again in (first, second):
        enter(again, owner.user.email)
    assert second_step(first, code).status_code == 200
    fresh = code_of(secret, steps_ahead=1)
    assert second_step(first, fresh).status_code == 302
    assert second_step(second, fresh).status_code == 200
    assert not is_signed_in(second)


def test_a_recovery_code_stands_in_once(owner: Person) -> None:
    browser, _ = with_app(owner)
    codes = codes_of(browser)
    assert len(codes) == 10
    file = browser.get("/accounts/factors/codes/file")
    assert codes[0].encode() in file.content
    first, second = somebody(), somebody()
    for other in (first, second):
        enter(other, owner.user.email)
    assert second_step(first, codes[0]).status_code == 302
    assert second_step(second, codes[0]).status_code == 200
    assert browser.get("/api/v1/account").json()["recovery_codes_left"] == 9
    assert browser.post("/accounts/factors/codes/renew").status_code == 302
    assert second_step(second, codes[1]).status_code == 200
    assert not set(codes) & set(codes_of(browser))


def test_codes_cannot_be_guessed_at_leisure(owner: Person) -> None:
    _, secret = with_app(owner)
    browser = somebody()
    enter(browser, owner.user.email)
    for number in range(6):
        assert second_step(browser, f"00000{number}").status_code == 200
    assert second_step(browser, code_of(secret, steps_ahead=1)).status_code == 200
    assert not is_signed_in(browser)


def test_no_secret_lies_open_in_the_database(owner: Person) -> None:
    browser, secret = with_app(owner)
    codes = codes_of(browser)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT data::text FROM mfa_authenticator WHERE user_id = %s ORDER BY id", [owner.user.pk]
        )
        rows = [row[0] for row in cursor.fetchall()]
    assert len(rows) == 2
    assert all(secret not in row for row in rows)
    assert all(code not in row for row in rows for code in codes)


def test_factors_are_in_the_audit_log_and_in_a_letter(owner: Person) -> None:
    browser, _ = with_app(owner)
    browser.post("/accounts/factors/app/remove")
    with owner.acting():
        found = list(AuditEntry.objects.filter(action__startswith="factor.").order_by("pk"))
    told = [(entry.action, entry.details["type"]) for entry in found]
    assert ("factor.add", "totp") in told
    assert ("factor.add", "recovery_codes") in told
    assert ("factor.remove", "totp") in told
    assert all(entry.actor == owner.user.public_id for entry in found)
    assert len(letters_to(owner.user.email)) == 2
    assert enter(somebody(), owner.user.email)["Location"] == "/"


def test_a_refused_code_is_in_the_audit_log(owner: Person) -> None:
    with_app(owner)
    browser = somebody()
    enter(browser, owner.user.email)
    second_step(browser, "000000")
    with owner.acting():
        [entry] = AuditEntry.objects.filter(action="session.sign_in", outcome="denied")
    assert entry.details == {"method": "totp"}


def test_changing_factors_needs_a_fresh_proof(owner: Person) -> None:
    browser = owner.browser
    prove(browser, owner.user, seconds_ago=601)
    for page in ("app", "keys/add"):
        answer = browser.get(f"/accounts/factors/{page}")
        assert answer["Location"].startswith("/accounts/reauthenticate?next=")
    assert not Authenticator.objects.filter(user=owner.user).exists()


def test_the_account_lists_its_factors(owner: Person) -> None:
    browser, _ = with_app(owner)
    account = browser.get("/api/v1/account").json()
    assert [factor["type"] for factor in account["factors"]] == ["totp"]
    assert account["recovery_codes_left"] == 10
    assert "secret" not in str(account)


def require_factor(person: Person) -> None:
    with person.acting():
        Organization.objects.filter(pk=person.organization.pk).update(require_mfa=True)


def test_where_a_factor_is_required_nothing_else_answers_before(owner: Person, teammate: Person) -> None:
    require_factor(owner)
    browser = somebody()
    enter(browser, teammate.user.email)
    assert browser.get("/training")["Location"] == "/accounts/factors"
    assert b"requires a second factor" in browser.get("/accounts/factors").content
    for address in ("/api/v1/session", "/v1/files", "/api/v1/deployments"):
        refused = browser.get(address)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "second_factor_required")
    assert browser.get("/api/v1/account").status_code == 200
    set_up_app(browser)
    assert browser.get("/api/v1/session").status_code == 200
    assert browser.get("/v1/files").status_code == 200


def test_keys_go_on_where_a_factor_is_required(owner: Person) -> None:
    require_factor(owner)
    assert owner.program.get("/v1/files").status_code == 200


def test_the_last_factor_stays_where_one_is_required(owner: Person) -> None:
    require_factor(owner)
    browser, _ = with_app(owner)
    answer = browser.post("/accounts/factors/app/remove")
    assert answer.status_code == 200
    assert b"requires a second factor" in answer.content
    assert Authenticator.objects.filter(user=owner.user, type=Authenticator.Type.TOTP).exists()


def test_one_organizations_demand_does_not_close_anothers(owner: Person, stranger: Person) -> None:
    require_factor(stranger)
    assert owner.browser.get("/v1/files").status_code == 200


@pytest.mark.parametrize("credential", ["", "{}", "[]", "null", '{"response": {}}', "not json", '"x"', "1"])
def test_a_made_up_passkey_signs_nobody_in(owner: Person, credential: str) -> None:
    browser = somebody()
    options = browser.get("/accounts/sign-in/passkey", headers={"Accept": "application/json"})
    assert options.status_code == 200
    answer = browser.post("/accounts/sign-in/passkey", {"credential": credential})
    assert answer.status_code == 302
    assert not is_signed_in(browser)


def test_a_factor_goes_on_when_the_platforms_key_is_rotated(owner: Person) -> None:
    browser, secret = with_app(owner)
    codes = codes_of(browser)
    before = {row.pk: dict(row.data) for row in Authenticator.objects.filter(user=owner.user)}
    call_command("keys", "rotate-platform")
    for row in Authenticator.objects.filter(user=owner.user):
        changed = {name for name, value in row.data.items() if value != before[row.pk][name]}
        assert changed == {name for name in ("secret", "seed") if name in row.data}
    browser = somebody()
    enter(browser, owner.user.email)
    second_step(browser, code_of(secret, steps_ahead=1))
    assert is_signed_in(browser)
    assert codes_of(browser) == codes
