"""Making an account: with an organization of one's own, or for the one that sent an invitation."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.audit.models import AuditEntry
from kernel.tenancy.scope import acting_for
from tenants.access import sessions
from tenants.access.models import Member, User
from tenants.access.permissions import Role
from tenants.access.services import invitations
from tenants.access.sessions import memberships_of
from tenants.limits.models import PlatformPolicy
from tests.cast import PASSWORD, Person
from tests.tenants.identity.visiting import (
    enter,
    is_signed_in,
    letters_to,
    link_in,
    new_address,
    person_with,
    somebody,
)

pytestmark = pytest.mark.usefixtures("letters")


def sign_up(browser: Client, email: str, /, **changes: str) -> Any:
    form = {"name": "Ada", "organization": "Looms Ltd", "email": email, "password1": PASSWORD, **changes}
    return browser.post("/accounts/sign-up", form)


@pytest.fixture
def policy(stores: Any) -> Iterator[Any]:
    """The platform's policy, put back afterwards."""
    rows = PlatformPolicy.objects.filter(pk=1)
    before = rows.get().sign_up_mode
    yield rows
    rows.update(sign_up_mode=before)


def test_a_person_signs_up_opens_the_link_and_owns_an_organization(open_house: None) -> None:
    browser, email = somebody(), new_address()
    answer = sign_up(browser, email.upper())
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/email/sent")
    assert not is_signed_in(browser)
    [letter] = letters_to(email)
    page = browser.get(link_in(letter))
    assert email.encode() in page.content
    assert browser.post(link_in(letter))["Location"] == "/"
    session = browser.get("/api/v1/session").json()
    assert (session["user"]["name"], session["organization"]["name"]) == ("Ada", "Looms Ltd")
    assert session["role"] == "owner"
    assert session["project"] is not None
    # A second factor can be set up at once.
    assert browser.get("/accounts/factors/app").status_code == 200


def test_nothing_is_reachable_before_the_address_is_verified(open_house: None) -> None:
    browser, email = somebody(), new_address()
    sign_up(browser, email)
    assert enter(browser, email)["Location"] == "/accounts/email/sent"
    assert browser.get("/")["Location"].startswith("/accounts/sign-in")
    for address in ("/api/v1/session", "/api/v1/account", "/v1/files"):
        assert browser.get(address).status_code == 401


def test_a_link_works_once_and_not_when_it_was_altered(open_house: None) -> None:
    browser, email = somebody(), new_address()
    sign_up(browser, email)
    link = link_in(letters_to(email)[0])
    assert browser.post(link[:-1] + ("0" if link[-1] != "0" else "1")).status_code == 404
    assert browser.post(link).status_code == 302
    elsewhere = somebody()
    assert elsewhere.post(link).status_code in (302, 404)
    assert not is_signed_in(elsewhere)


def test_a_taken_address_gets_the_same_answer_and_a_letter_to_its_owner(
    open_house: None, owner: Person
) -> None:
    fresh, taken = somebody(), somebody()
    first, second = sign_up(fresh, new_address()), sign_up(taken, owner.user.email)
    assert (first.status_code, first["Location"]) == (second.status_code, second["Location"])
    assert fresh.get(first["Location"]).content.count(b"<p>") == taken.get(second["Location"]).content.count(
        b"<p>"
    )
    [letter] = letters_to(owner.user.email)
    assert "There is one already" in letter.body
    assert User.objects.get(email=owner.user.email).check_password(PASSWORD)
    assert len(memberships_of(owner.user)) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"email": "ada@exämple.org"}, b"ASCII"),
        ({"email": "\u0430da@example.org"}, b"ASCII"),
        ({"email": "not an address"}, b"no e-mail address"),
        ({"password1": "short"}, b"too short"),
        ({"password1": "password1234"}, b"too common"),
        ({"password1": "x" * 5000}, b"512"),
        ({"name": ""}, b"required"),
        ({"name": "A\0B"}, b"Null characters"),
        ({"organization": "o" * 101}, b"100"),
    ],
)
def test_what_cannot_be_is_refused_in_words_and_nobody_is_made(
    open_house: None, change: dict[str, str], said: bytes
) -> None:
    browser, email = somebody(), new_address()
    answer = sign_up(browser, email, **change)
    assert answer.status_code == 200
    assert said in answer.content
    assert not User.objects.filter(email=email).exists()
    assert letters_to(email) == []


@settings(max_examples=30, deadline=None)
@given(name=st.text(max_size=120), organization=st.text(max_size=120))
def test_the_form_bears_whatever_is_typed_into_it(stores: Any, name: str, organization: str) -> None:
    # Without an address nobody is made: this is about the form alone.
    answer = sign_up(somebody(), "", name=name, organization=organization)
    assert answer.status_code == 200


def test_a_person_and_their_organization_are_made_together_or_not_at_all(
    open_house: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("The database went away.")

    monkeypatch.setattr("tenants.identity.services.sign_up.people.add_member", fail)
    email = new_address()
    with pytest.raises(RuntimeError):
        sign_up(somebody(), email)
    assert not User.objects.filter(email=email).exists()


def test_without_open_doors_nobody_signs_up(policy: Any) -> None:
    for mode in ("invite_only", "off"):
        policy.update(sign_up_mode=mode)
        email = new_address()
        assert b"by invitation" in somebody().get("/accounts/sign-up").content
        assert b"by invitation" in sign_up(somebody(), email).content
        assert b"Make an account" not in somebody().get("/accounts/sign-in").content
        assert not User.objects.filter(email=email).exists()


def invite(owner: Person, email: str) -> str:
    with owner.acting():
        invitation = invitations.invite(email, Role.VIEWER, by=owner.principal)
        return invitations.token_of(invitation)


def test_an_invited_person_joins_without_a_further_letter(policy: Any, owner: Person) -> None:
    policy.update(sign_up_mode="off")
    email = new_address()
    browser = somebody()
    token = invite(owner, email)
    assert browser.get(f"/accounts/invitation?token={token}")["Location"] == "/accounts/invitation"
    page = browser.get("/accounts/invitation")
    assert owner.organization.name.encode() in page.content
    assert token.encode() not in page.content
    # Whatever address is sent along, the invited one counts.
    answer = sign_up(browser, new_address())
    assert answer.status_code == 302
    assert is_signed_in(browser)
    assert letters_to(email) == []
    person = person_with(email)
    [membership] = memberships_of(person)
    assert membership.organization_id == owner.organization.pk
    with acting_for(owner.organization.pk):
        assert AuditEntry.objects.filter(action="invitation.accept", actor=person.public_id).exists()


def test_a_member_of_another_organization_accepts_with_one_click(owner: Person, stranger: Person) -> None:
    token = invite(owner, stranger.user.email)
    browser = stranger.browser
    browser.get(f"/accounts/invitation?token={token}")
    assert b"Join" in browser.get("/accounts/invitation").content
    assert browser.post("/accounts/invitation")["Location"] == "/"
    assert {m.organization_id for m in sessions.memberships_of(stranger.user)} == {
        owner.organization.pk,
        stranger.organization.pk,
    }
    again = stranger.browser
    again.get(f"/accounts/invitation?token={token}")
    assert again.get("/accounts/invitation").status_code == 409
    assert again.post("/accounts/invitation").status_code in (404, 409)


def test_an_invitation_is_for_one_address_only(owner: Person, stranger: Person) -> None:
    token = invite(owner, new_address())
    browser = stranger.browser
    browser.get(f"/accounts/invitation?token={token}")
    assert b"Sign out and come back" in browser.get("/accounts/invitation").content
    assert browser.post("/accounts/invitation").status_code == 403
    with owner.acting():
        assert not Member.objects.filter(user=stranger.user).exists()


@pytest.mark.parametrize("token", ["", "nonsense", "a~b", "a.b.c~d", "%00"])
def test_a_made_up_invitation_opens_nothing(stores: Any, token: str) -> None:
    browser = somebody()
    browser.get(f"/accounts/invitation?token={token}")
    assert browser.get("/accounts/invitation").status_code == 404
