"""Signing in and out."""

import time
from typing import Any

import pytest

from kernel.audit.models import AuditEntry
from tenants.access.models import User
from tests.cast import PASSWORD, Person, new_person, prove
from tests.tenants.identity.visiting import enter, is_signed_in, new_address, somebody

JSON = "application/json"


def entries(person: Person, action: str) -> list[AuditEntry]:
    with person.acting():
        return list(AuditEntry.objects.filter(action=action, target=person.user.public_id).order_by("pk"))


def test_a_sign_in_is_in_the_audit_log_with_its_address_and_way(owner: Person) -> None:
    browser = somebody("203.0.113.7")
    assert enter(browser, owner.user.email)["Location"] == "/"
    [entry] = entries(owner, "session.sign_in")
    assert (entry.outcome, entry.address, entry.actor) == ("allowed", "203.0.113.7", owner.user.public_id)
    assert entry.details == {"methods": ["password"]}


def test_a_failed_sign_in_is_told_to_each_organization_of_the_person(owner: Person, stranger: Person) -> None:
    with stranger.acting():
        from_both = new_person(joining=stranger).user
    assert from_both
    assert enter(somebody(), owner.user.email, "not the password").status_code == 200
    [entry] = entries(owner, "session.sign_in")
    assert (entry.outcome, entry.actor) == ("denied", "system")
    assert entries(stranger, "session.sign_in") == []


def test_a_wrong_password_and_an_unknown_address_differ_in_nothing(owner: Person) -> None:
    took = []
    pages = []
    for email in (owner.user.email, new_address()):
        begun = time.monotonic()
        answer = enter(somebody(), email, "not the password")
        took.append(time.monotonic() - begun)
        assert answer.status_code == 200
        pages.append(answer.content.replace(email.encode(), b""))
    assert b"do not match" in pages[0]
    assert len(pages[0]) == pytest.approx(len(pages[1]), abs=8)
    assert all(seconds > 0.4 for seconds in took)


def test_a_deactivated_person_is_told_no_more_than_a_stranger(owner: Person) -> None:
    User.objects.filter(pk=owner.user.pk).update(is_active=False)
    answer = enter(somebody(), owner.user.email)
    assert b"do not match" in answer.content


def test_the_session_gets_a_new_id_at_the_sign_in(owner: Person) -> None:
    browser = somebody()
    browser.get("/accounts/sign-in")
    session = browser.session
    session["planted"] = True
    session.save()
    browser.cookies["lw_session"] = session.session_key
    enter(browser, owner.user.email)
    assert browser.cookies["lw_session"].value != session.session_key
    assert is_signed_in(browser)
    attacker = somebody()
    attacker.cookies["lw_session"] = session.session_key
    assert not is_signed_in(attacker)


def test_signing_out_ends_the_session_and_clears_the_browser(owner: Person) -> None:
    browser = owner.browser
    key = browser.cookies["lw_session"].value
    answer = browser.post("/accounts/sign-out")
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/sign-in")
    assert answer["Clear-Site-Data"] == '"cache", "storage"'
    thief = somebody()
    thief.cookies["lw_session"] = key
    assert not is_signed_in(thief)
    [entry] = entries(owner, "session.sign_out")
    assert entry.actor == owner.user.public_id


def test_a_link_alone_signs_nobody_out(owner: Person) -> None:
    browser = owner.browser
    assert b"Sign out?" in browser.get("/accounts/sign-out").content
    assert is_signed_in(browser)


@pytest.mark.parametrize(
    "address", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "/\\evil.example"]
)
def test_nothing_leads_to_another_site(owner: Person, address: str) -> None:
    assert enter(somebody(), owner.user.email, next=address)["Location"] == "/"
    assert owner.browser.post("/accounts/sign-out", {"next": address})["Location"] == "/accounts/sign-in"
    page = somebody().get("/accounts/sign-in", {"next": address}).content
    assert b'href="https://evil' not in page


def test_one_comes_back_to_where_one_wanted_to_be(owner: Person) -> None:
    assert enter(somebody(), owner.user.email, next="/training?x=1")["Location"] == "/training?x=1"


@pytest.mark.parametrize("path", ["/accounts/sign-in", "/accounts/sign-up", "/api/v1/session", "/v1/files"])
def test_no_cache_keeps_account_pages_nor_answers(owner: Person, path: str) -> None:
    assert somebody().get(path)["Cache-Control"] == "no-store"
    assert owner.browser.get(path)["Cache-Control"] == "no-store"


def test_a_page_that_does_not_exist_says_so(owner: Person) -> None:
    for browser in (somebody(), owner.browser):
        answer = browser.get("/accounts/nowhere")
        assert answer.status_code == 404
        assert b"There is no such page" in answer.content
    # A page there is, of something that this person has not.
    assert b"There is no such page" in owner.browser.get("/accounts/factors/codes").content


def test_pages_are_in_the_readers_language_and_answers_in_english(owner: Person) -> None:
    german = {"Accept-Language": "de"}
    page = somebody().get("/accounts/sign-in", headers=german)
    assert page["Content-Language"] == "de"
    assert b'<html lang="de">' in page.content
    refused = owner.browser.patch("/api/v1/account", {"name": 5}, content_type=JSON, headers=german)
    assert "string" in refused.json()["error"]["message"]


def test_making_a_key_needs_a_fresh_proof(owner: Person) -> None:
    browser = owner.browser
    prove(browser, owner.user, seconds_ago=601)
    refused = browser.post("/api/v1/api-keys", {"name": "A key"}, content_type=JSON)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "reauthentication_required")
    assert "/accounts/reauthenticate" in refused.json()["error"]["message"]
    assert browser.get("/api/v1/api-keys").status_code == 200
    page = browser.get("/accounts/reauthenticate?next=/settings/keys")
    assert b"Is it you?" in page.content
    wrong = browser.post("/accounts/reauthenticate", {"password": "wrong", "next": "/settings/keys"})
    assert wrong.status_code == 200
    assert browser.post("/api/v1/api-keys", {"name": "A key"}, content_type=JSON).status_code == 403
    right = browser.post("/accounts/reauthenticate", {"password": PASSWORD, "next": "/settings/keys"})
    assert right["Location"] == "/settings/keys"
    assert browser.post("/api/v1/api-keys", {"name": "A key"}, content_type=JSON).status_code == 201


def test_a_session_that_never_proved_anything_is_not_fresh(owner: Person) -> None:
    browser = somebody()
    browser.force_login(owner.user, backend="tenants.access.backends.EmailBackend")
    refused = browser.post("/api/v1/api-keys", {"name": "A key"}, content_type=JSON)
    assert refused.json()["error"]["code"] == "reauthentication_required"


def test_whoever_has_nothing_here_to_confirm_with_signs_in_anew(owner: Person) -> None:
    owner.user.set_unusable_password()
    owner.user.save()
    browser = owner.browser
    page = browser.get("/accounts/reauthenticate?next=/settings/keys")
    assert page.status_code == 200
    assert b"Sign out and in again" in page.content


def test_a_sign_in_counts_as_a_fresh_proof(owner: Person) -> None:
    browser = somebody()
    enter(browser, owner.user.email)
    assert browser.post("/api/v1/api-keys", {"name": "A key"}, content_type=JSON).status_code == 201


@pytest.mark.parametrize("password", ["\0", "x" * 100_000, ""])
def test_no_password_brings_the_form_down(owner: Person, password: str) -> None:
    answer: Any = enter(somebody(), owner.user.email, password)
    assert answer.status_code == 200
