"""Where one is signed in, and ending it: by oneself, or by an administrator."""

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db.models.functions import Now
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from kernel import ids
from kernel.audit.models import AuditEntry
from tenants.access.permissions import Role
from tenants.identity.devices import device_of
from tenants.identity.services.sessions import forget_expired
from tests.cast import Person, new_person
from tests.tenants.identity.visiting import enter, is_signed_in, somebody

JSON = "application/json"
SESSIONS = "/api/v1/account/sessions"


def signed_in(person: Person, address: str | None = None) -> Client:
    browser = somebody(address)
    assert enter(browser, person.user.email).status_code == 302
    return browser


def test_a_person_sees_where_they_are_signed_in(owner: Person, stranger: Person) -> None:
    here, elsewhere = signed_in(owner, "203.0.113.7"), signed_in(owner, "198.51.100.8")
    signed_in(stranger)
    found = here.get(SESSIONS).json()["data"]
    assert [one["is_current"] for one in found] == [True, False]
    assert [one["address"] for one in found] == ["203.0.113.7", "198.51.100.8"]
    assert {one["device"] for one in found} == {"Firefox on Linux"}
    cookies = {browser.cookies["lw_session"].value for browser in (here, elsewhere)}
    assert not any(cookie in str(found) for cookie in cookies)


def test_a_person_ends_one_session(owner: Person) -> None:
    here, elsewhere = signed_in(owner), signed_in(owner)
    other = next(one for one in here.get(SESSIONS).json()["data"] if not one["is_current"])
    assert here.delete(f"{SESSIONS}/{other['id']}").status_code == 204
    assert not is_signed_in(elsewhere)
    assert is_signed_in(here)
    assert here.delete(f"{SESSIONS}/{other['id']}").status_code == 404
    with owner.acting():
        assert AuditEntry.objects.filter(action="session.end", actor=owner.user.public_id).exists()


def test_a_person_ends_all_other_sessions(owner: Person) -> None:
    here, *others = [signed_in(owner) for _ in range(3)]
    assert here.delete(SESSIONS).status_code == 204
    assert is_signed_in(here)
    assert not any(is_signed_in(other) for other in others)
    assert len(here.get(SESSIONS).json()["data"]) == 1


def test_a_session_whose_time_is_over_is_forgotten_and_the_others_are_not(owner: Person) -> None:
    here, elsewhere = signed_in(owner), signed_in(owner)
    over = elsewhere.session.session_key
    Session.objects.filter(pk=over).update(expire_date=Now())
    assert forget_expired() >= 1
    assert not Session.objects.filter(pk=over).exists()
    assert is_signed_in(here)
    assert list(UserSession.objects.filter(user=owner.user).values_list("session_key", flat=True)) == [
        here.session.session_key
    ]


def test_nobody_ends_anothers_session(owner: Person, stranger: Person) -> None:
    theirs, ours = signed_in(stranger), signed_in(owner)
    [foreign] = theirs.get(SESSIONS).json()["data"]
    for session_id in (foreign["id"], ids.render("session", ids.uuid7()), "nonsense"):
        assert ours.delete(f"{SESSIONS}/{session_id}").status_code == 404
    assert is_signed_in(theirs)


def test_a_session_that_was_signed_out_is_no_longer_listed(owner: Person) -> None:
    here, elsewhere = signed_in(owner), signed_in(owner)
    elsewhere.post("/accounts/sign-out")
    assert len(here.get(SESSIONS).json()["data"]) == 1


def test_an_administrator_signs_a_member_out_everywhere(owner: Person, teammate: Person) -> None:
    admin = new_person(Role.ADMIN, joining=owner)
    browsers = [signed_in(teammate) for _ in range(2)]
    assert admin.browser.delete(f"/api/v1/members/{teammate.user.public_id}/sessions").status_code == 204
    assert not any(is_signed_in(browser) for browser in browsers)
    with owner.acting():
        [entry] = AuditEntry.objects.filter(action="member.sign_out")
    assert (entry.actor, entry.target) == (admin.user.public_id, teammate.user.public_id)


def test_only_administrators_sign_members_out_and_only_their_own(
    owner: Person, teammate: Person, stranger: Person
) -> None:
    path = f"/api/v1/members/{teammate.user.public_id}/sessions"
    browser = signed_in(teammate)
    assert teammate.browser.delete(path).status_code == 403
    assert stranger.browser.delete(path).status_code == 404
    assert is_signed_in(browser)
    assert owner.browser.delete(path).status_code == 204


def test_a_key_has_no_account(owner: Person) -> None:
    for method, path in (("get", "/api/v1/account"), ("get", SESSIONS), ("delete", SESSIONS)):
        assert getattr(owner.program, method)(path).status_code == 403


def test_a_person_changes_their_name_and_language(owner: Person) -> None:
    browser = signed_in(owner)
    account = browser.get("/api/v1/account").json()
    assert (account["id"], account["email"]) == (owner.user.public_id, owner.user.email)
    assert (account["language"], account["has_password"], account["factors"]) == ("en", True, [])
    answer = browser.patch("/api/v1/account", {"name": " Ada ", "language": "de"}, content_type=JSON)
    assert answer.status_code == 200
    assert (answer.json()["name"], answer.json()["language"]) == ("Ada", "de")
    assert browser.get("/api/v1/account").json()["language"] == "de"
    assert b'<html lang="de">' in browser.get("/accounts/factors").content
    assert browser.get("/api/v1/session").json()["user"]["name"] == "Ada"


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x" * 101},
        {"name": "a\0b"},
        {"name": 5},
        {"language": "tlh"},
        {"language": None},
        {"email": "other@people.example"},
        {"is_operator": True},
        [],
        "x",
    ],
)
def test_a_change_that_cannot_be_is_refused(owner: Person, body: object) -> None:
    answer = owner.browser.patch("/api/v1/account", body, content_type=JSON)
    assert answer.status_code == 400, answer.content
    assert answer.json()["error"]["message"]
    owner.user.refresh_from_db()
    assert owner.user.name == "A person"
    assert not owner.user.is_operator


@given(st.text(max_size=300))
def test_every_browser_has_a_name(user_agent: str) -> None:
    assert device_of(user_agent)


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        (
            "Mozilla/5.0 (Windows NT 10.0) Chrome/150.0 Safari/537.36 Edg/150.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (iPhone) Version/20.0 Safari/604.1",
            "Safari on iPhone",
        ),
        ("Mozilla/5.0 (Linux; Android 16) Chrome/150.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.0", "curl"),
        ("", "Unknown device"),
    ],
)
def test_common_browsers_are_recognised(user_agent: str, device: str) -> None:
    assert device_of(user_agent) == device
