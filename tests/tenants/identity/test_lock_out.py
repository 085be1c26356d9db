"""Guessers are slowed down, and nobody can have somebody else locked out."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.db import connection
from django.db.models import F
from hypothesis import given
from hypothesis import strategies as st

from tenants.identity.lock_out import FIRST_DELAY, FREE_ATTEMPTS, LONGEST_DELAY, delay_after
from tests.cast import Person
from tests.tenants.identity.visiting import a_network, enter, new_address, somebody

WRONG = "not the password"


def later(email: str, pause: timedelta) -> None:
    """Let time pass since the last attempt."""
    AccessAttempt.objects.filter(username=email).update(attempt_time=F("attempt_time") - pause)


@pytest.fixture
def guesser() -> str:
    """A network address from which somebody guesses."""
    return a_network()


def guess(email: str, times: int, address: str) -> list[int]:
    return [enter(somebody(address), email, WRONG).status_code for _ in range(times)]


def test_after_a_few_wrong_passwords_even_the_right_one_must_wait(owner: Person, guesser: str) -> None:
    email = owner.user.email
    assert guess(email, FREE_ATTEMPTS, guesser) == [200] * (FREE_ATTEMPTS - 1) + [429]
    answer = enter(somebody(guesser), email)
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= FIRST_DELAY.total_seconds()
    assert b"Try again in 1 minute." in answer.content
    later(email, FIRST_DELAY)
    assert enter(somebody(guesser), email).status_code == 302


def test_the_delay_grows_with_each_further_failure(owner: Person, guesser: str) -> None:
    email = owner.user.email
    guess(email, FREE_ATTEMPTS, guesser)
    for doublings in range(1, 4):
        later(email, FIRST_DELAY * 2 ** (doublings - 1))
        assert guess(email, 1, guesser) == [429]
        wait = int(enter(somebody(guesser), email, WRONG)["Retry-After"])
        assert FIRST_DELAY * 2 ** (doublings - 1) < timedelta(seconds=wait) <= FIRST_DELAY * 2**doublings


def test_attempts_while_locked_do_not_prolong_it(owner: Person, guesser: str) -> None:
    email = owner.user.email
    guess(email, FREE_ATTEMPTS + 10, guesser)
    later(email, FIRST_DELAY)
    assert enter(somebody(guesser), email).status_code == 302


def test_a_guesser_does_not_lock_the_person_out(owner: Person, guesser: str) -> None:
    guess(owner.user.email, FREE_ATTEMPTS + 3, guesser)
    assert enter(somebody(), owner.user.email).status_code == 302


def test_one_person_locked_does_not_lock_others_on_the_same_network(
    owner: Person, stranger: Person, guesser: str
) -> None:
    guess(owner.user.email, FREE_ATTEMPTS, guesser)
    assert enter(somebody(guesser), stranger.user.email).status_code == 302


def test_an_unknown_address_is_locked_just_the_same(owner: Person, guesser: str) -> None:
    unknown = new_address()
    assert guess(unknown, FREE_ATTEMPTS + 1, guesser) == guess(owner.user.email, FREE_ATTEMPTS + 1, guesser)
    pages = [enter(somebody(guesser), email).content for email in (unknown, owner.user.email)]
    assert pages[0] == pages[1] or len(pages[0]) == len(pages[1])


def test_the_right_password_forgets_the_failures(owner: Person, guesser: str) -> None:
    email = owner.user.email
    for _ in range(3):
        guess(email, FREE_ATTEMPTS - 1, guesser)
        assert enter(somebody(guesser), email).status_code == 302


def test_hopping_within_ones_own_network_does_not_help(owner: Person, guesser: str) -> None:
    addresses = [f"2001:db8:1:2::{n:x}" for n in range(1, FREE_ATTEMPTS + 2)]
    found = [guess(owner.user.email, 1, address)[0] for address in addresses]
    assert found[-1] == 429
    assert enter(somebody("2001:db8:1:3::1"), owner.user.email).status_code == 302


def test_a_made_up_forwarding_header_does_not_help(owner: Person, guesser: str) -> None:
    found = []
    for n in range(FREE_ATTEMPTS + 1):
        browser = somebody(guesser)
        browser.defaults["HTTP_X_FORWARDED_FOR"] = f"192.0.2.{n}"
        found.append(enter(browser, owner.user.email, WRONG).status_code)
    assert found[-1] == 429


def test_the_spelling_of_the_address_does_not_help(owner: Person, guesser: str) -> None:
    email = owner.user.email
    spellings = [email, email.upper(), f" {email}", f"{email} ", email.title(), email]
    assert [enter(somebody(guesser), spelt, WRONG).status_code for spelt in spellings][-1] == 429


def test_many_guesses_at_once_count_as_many(owner: Person, guesser: str) -> None:
    def once(_: int) -> int:
        try:
            return int(enter(somebody(guesser), owner.user.email, WRONG).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as many:
        found = list(many.map(once, range(24)))
    # Those let through had their password looked at: no more than the free ones.
    rows = AccessAttempt.objects.filter(username=owner.user.email)
    assert rows.get().failures_since_start == FREE_ATTEMPTS
    assert found.count(429) >= len(found) - FREE_ATTEMPTS


def test_confirming_oneself_is_slowed_down_too(owner: Person, guesser: str) -> None:
    browser = owner.browser
    found = [
        browser.post("/accounts/reauthenticate", {"password": WRONG}).status_code
        for _ in range(FREE_ATTEMPTS + 1)
    ]
    assert found[-1] == 429


def test_no_password_is_kept_with_the_failures(owner: Person, guesser: str) -> None:
    enter(somebody(guesser), owner.user.email, "a secret typo")
    row = AccessAttempt.objects.get(username=owner.user.email)
    assert (row.get_data, row.post_data) == ("", "")


@given(st.integers(0, 10_000))
def test_delays_double_up_to_the_longest(beyond: int) -> None:
    assert FIRST_DELAY <= delay_after(beyond) <= LONGEST_DELAY
    assert delay_after(beyond + 1) in (delay_after(beyond) * 2, LONGEST_DELAY)
    assert delay_after(beyond) <= delay_after(beyond + 1)
