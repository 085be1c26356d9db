"""Changing and resetting passwords and addresses, and passwords known from breaches."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from kernel.audit.models import AuditEntry
from kernel.errors import InvalidRequest
from tenants.access.services import people
from tenants.identity.breached import is_listed, require_readable
from tests.cast import PASSWORD, Person, prove
from tests.tenants.identity.visiting import (
    enter,
    is_signed_in,
    letters_to,
    link_in,
    new_address,
    set_up_app,
    somebody,
)

pytestmark = pytest.mark.usefixtures("letters")
NEW = "another battery horse"


def sha1(password: str) -> str:
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


def change(browser: Any, old: str = PASSWORD, new: str = NEW, again: str | None = None) -> Any:
    form = {"oldpassword": old, "password1": new, "password2": new if again is None else again}
    return browser.post("/accounts/password", form)


def test_a_changed_password_ends_the_other_sessions_and_not_this_one(owner: Person) -> None:
    here, elsewhere = somebody(), somebody()
    enter(here, owner.user.email)
    enter(elsewhere, owner.user.email)
    assert change(here).status_code == 302
    assert is_signed_in(here)
    assert not is_signed_in(elsewhere)
    assert enter(somebody(), owner.user.email).status_code == 200
    assert enter(somebody(), owner.user.email, NEW).status_code == 302
    with owner.acting():
        assert AuditEntry.objects.filter(action="password.change", actor=owner.user.public_id).exists()
    [letter] = letters_to(owner.user.email)
    assert "change was made to your account" in letter.body


@pytest.mark.parametrize(
    ("old", "new", "again", "said"),
    [
        ("wrong", NEW, None, b"current password"),
        (PASSWORD, "short", None, b"too short"),
        (PASSWORD, NEW, "something else entirely", b"same password"),
        (PASSWORD, "password1234", None, b"too common"),
    ],
)
def test_a_change_that_cannot_be_is_refused(
    owner: Person, old: str, new: str, again: str | None, said: bytes
) -> None:
    answer = change(owner.browser, old, new, again)
    assert answer.status_code == 200
    assert said in answer.content
    assert enter(somebody(), owner.user.email).status_code == 302


def ask(browser: Any, email: str) -> Any:
    return browser.post("/accounts/password/reset", {"email": email})


def test_a_forgotten_password_is_set_anew_by_a_link_that_works_once(owner: Person) -> None:
    before = somebody()
    enter(before, owner.user.email)
    browser = somebody()
    assert ask(browser, owner.user.email)["Location"] == "/accounts/password/reset/sent"
    link = link_in(letters_to(owner.user.email)[0])
    form = browser.get(link)
    assert form.status_code == 302
    set_at = form["Location"]
    assert "set-password" in set_at
    assert browser.get(set_at).status_code == 200
    done = browser.post(set_at, {"password1": NEW, "password2": NEW})
    assert done["Location"] == "/accounts/password/reset/done"
    assert not is_signed_in(before)
    again = somebody()
    enter(again, owner.user.email, NEW)
    assert is_signed_in(again)
    assert b"opens nothing" in somebody().get(link).content


def test_nobody_learns_by_the_reset_whether_an_address_is_registered(owner: Person) -> None:
    unknown = new_address()
    answers = [ask(somebody(), email) for email in (owner.user.email, unknown)]
    assert answers[0]["Location"] == answers[1]["Location"]
    assert len(letters_to(owner.user.email)) == len(letters_to(unknown)) == 1
    assert "/accounts/password/reset/" not in letters_to(unknown)[0].body


def test_asking_for_a_reset_changes_nothing_for_whoever_knows_the_password(owner: Person) -> None:
    ask(somebody(), owner.user.email)
    browser = somebody()
    enter(browser, owner.user.email)
    assert is_signed_in(browser)


def test_a_made_up_reset_link_opens_nothing(owner: Person) -> None:
    for link in ("0-x", f"{owner.user.pk.hex}-{'a' * 6}-{'b' * 32}", "zz-set-password"):
        answer = somebody().get(f"/accounts/password/reset/{link}")
        assert answer.status_code == 200
        assert b"opens nothing" in answer.content


def test_an_address_changes_when_the_new_one_was_opened(owner: Person) -> None:
    browser, old, new = somebody(), owner.user.email, new_address()
    enter(browser, old)
    assert browser.post("/accounts/email", {"email": new, "action_add": ""}).status_code == 302
    assert b"takes its place" in browser.get("/accounts/email").content
    assert enter(somebody(), old).status_code == 302
    assert enter(somebody(), new).status_code == 200
    assert browser.post(link_in(letters_to(new)[0])).status_code == 302
    assert enter(somebody(), new).status_code == 302
    assert enter(somebody(), old).status_code == 200
    assert any(new in letter.body for letter in letters_to(old))
    with owner.acting():
        assert AuditEntry.objects.filter(action="address.change").exists()


def test_a_second_factor_does_not_keep_anybody_from_changing_their_address(owner: Person) -> None:
    browser, new = somebody(), new_address()
    enter(browser, owner.user.email)
    set_up_app(browser)
    assert browser.post("/accounts/email", {"email": new, "action_add": ""}).status_code == 302
    assert browser.post(link_in(letters_to(new)[0])).status_code == 302
    owner.user.refresh_from_db()
    assert owner.user.email == new


def test_changing_the_address_needs_a_fresh_proof(owner: Person) -> None:
    browser = owner.browser
    prove(browser, owner.user, seconds_ago=601)
    answer = browser.post("/accounts/email", {"email": new_address(), "action_add": ""})
    assert answer["Location"].startswith("/accounts/reauthenticate")


def test_nobody_takes_over_anothers_address(owner: Person, stranger: Person) -> None:
    browser = somebody()
    enter(browser, stranger.user.email)
    answer = browser.post("/accounts/email", {"email": owner.user.email, "action_add": ""})
    assert answer.status_code == 302
    for letter in letters_to(owner.user.email):
        for word in letter.body.split():
            if "/accounts/email/verify/" in word:
                browser.post(word.partition("127.0.0.1")[2])
    stranger.user.refresh_from_db()
    assert stranger.user.email != owner.user.email
    assert enter(somebody(), owner.user.email).status_code == 302


def test_an_address_that_looks_like_another_is_refused(owner: Person) -> None:
    browser = somebody()
    enter(browser, owner.user.email)
    answer = browser.post("/accounts/email", {"email": "\u0430da@example.org", "action_add": ""})
    assert answer.status_code == 200
    assert b"ASCII" in answer.content


@pytest.fixture
def breaches(tmp_path: Path, settings_with: Any) -> Any:
    """A list of breached passwords, as published."""
    passwords = ["hunter2 hunter2", "correct horse battery", *(f"password number {n}" for n in range(500))]
    path = tmp_path / "pwned.txt"
    path.write_text(
        "".join(f"{line}\r\n" for line in sorted(f"{sha1(word)}:{len(word)}" for word in passwords))
    )
    with settings_with(BREACHED_PASSWORDS_FILE=str(path)):
        yield passwords


def test_a_password_known_from_a_breach_is_refused(owner: Person, breaches: list[str]) -> None:
    answer = change(owner.browser, new=breaches[0])
    assert b"data breach" in answer.content
    with pytest.raises(InvalidRequest) as refused:
        people.register_user(new_address(), breaches[1])
    assert refused.value.code == "weak_password"
    assert change(owner.browser).status_code == 302


@given(st.sets(st.text(min_size=1, max_size=30), max_size=60), st.text(min_size=1, max_size=30))
def test_the_list_is_searched_rightly(passwords: set[str], other: str) -> None:
    hashes = sorted(sha1(word) for word in passwords)
    # A file per example would be slow; one is written anew each time.
    path = Path("/dev/shm" if Path("/dev/shm").is_dir() else "/tmp") / "loomworks-breaches-test.txt"
    path.write_text("".join(f"{digest}:{number}\n" for number, digest in enumerate(hashes)))
    try:
        assert all(is_listed(word, path) for word in passwords)
        assert is_listed(other, path) == (other in passwords)
    finally:
        path.unlink()


def test_a_list_that_is_none_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match="BREACHED_PASSWORDS_FILE"):
        require_readable(tmp_path / "absent.txt")
    (tmp_path / "wrong.txt").write_text("hunter2\n")
    with pytest.raises(ImproperlyConfigured, match="SHA1:count"):
        require_readable(tmp_path / "wrong.txt")
