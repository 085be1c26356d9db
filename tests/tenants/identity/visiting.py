"""Somebody at the account pages: a browser with an address of its own, and the mail that reaches them."""

import hmac
import re
import secrets
import struct
import time
from base64 import b32decode
from hashlib import sha1
from typing import Any

from django.core import mail
from django.test import Client

from tenants.access.models import User
from tests.cast import HOST, PASSWORD

STEP_SECONDS = 30
DEVICE = "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0"


def somebody(address: str | None = None) -> Client:
    """A browser that nobody has used yet, from a network address that nobody else has."""
    return Client(SERVER_NAME=HOST, REMOTE_ADDR=address or a_network(), headers={"User-Agent": DEVICE})


def a_network() -> str:
    """A network address that nobody else has: limits count by it, in the one cache of all tests."""
    return f"2001:db8:{secrets.randbelow(65536):x}:{secrets.randbelow(65536):x}::1"


def new_address() -> str:
    """An e-mail address that nobody has."""
    return f"{secrets.token_hex(6)}@people.example"


def enter(browser: Client, email: str, password: str = PASSWORD, **form: str) -> Any:
    """Fill in the sign-in form."""
    return browser.post("/accounts/sign-in", {"login": email, "password": password, **form})


def is_signed_in(browser: Client) -> bool:
    """Whether the API knows the browser's person."""
    return bool(browser.get("/api/v1/account").status_code == 200)


def letters_to(address: str) -> list[Any]:
    """The messages that reached an address, the oldest first."""
    return [letter for letter in mail.outbox if letter.to == [address]]


def link_in(letter: Any) -> str:
    """The path of the one link of ours in a message."""
    found = re.search(rf"http://{HOST}(/accounts/\S+)", letter.body)
    assert found, letter.body
    return found[1]


def code_of(secret: str, *, steps_ahead: int = 0) -> str:
    """What an authenticator app shows (RFC 6238), now or some steps ahead."""
    counter = int(time.time()) // STEP_SECONDS + steps_ahead
    digest = hmac.new(b32decode(secret), struct.pack(">Q", counter), sha1).digest()
    start = digest[-1] & 0xF
    number = struct.unpack(">I", digest[start : start + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


def set_up_app(browser: Client) -> str:
    """Set up an authenticator app in a signed-in browser; answers its secret."""
    secret = secret_on(browser.get("/accounts/factors/app"))
    answer = browser.post("/accounts/factors/app", {"code": code_of(secret)})
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/factors/codes")
    return secret


def secret_on(page: Any) -> str:
    """The secret that the page of an app's setting up shows."""
    found = re.search(r'<code id="secret">([A-Z2-7]+)</code>', page.content.decode())
    assert found, page.content
    return found[1]


def person_with(email: str) -> User:
    """The person of an address."""
    return User.objects.get(email=email)
