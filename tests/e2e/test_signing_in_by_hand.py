"""Making an account and signing in, in Chromium: the letter's link, an app's codes, a passkey."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from tests.e2e import loop
from tests.e2e.test_pages_are_accessible import judge
from tests.tenants.identity.visiting import code_of, new_address

PASSWORD = "a loom of my own making"
LETTERS_ARRIVE_WITHIN_SECONDS = 20
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console complained of: there must be nothing."""
    return []


@pytest.fixture
def address(stack: Any) -> str:
    """The stack by a name: browsers know passkeys only for names."""
    return f"http://localhost:{urlsplit(stack.demo['url']).port}"


@pytest.fixture
def context(browser: Browser, address: str, complaints: list[str]) -> Iterator[BrowserContext]:
    """A browser that has never been here."""
    opened = browser.new_context(base_url=address, viewport={"width": 1280, "height": 900}, locale="en-US")

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(message.text)

    opened.on("console", note)
    opened.on("weberror", lambda fault: complaints.append(str(fault.error)))
    yield opened
    opened.close()


def letter_link(home: Path, email: str, kind: str) -> str:
    """The link in the latest letter to an address: without a mail server, letters are on the output."""
    found: list[str] = []

    def look() -> bool:
        for log in (home / "logs").glob("web*"):
            text = log.read_text(errors="replace")
            letters = re.findall(rf"To: {re.escape(email)}.*?-{{70,}}", text, re.DOTALL)
            found[:] = re.findall(rf"http://\S+(/accounts/{kind}/\S+)", "".join(letters)) or found
        return bool(found)

    loop.eventually(look, seconds=LETTERS_ARRIVE_WITHIN_SECONDS, what="the letter")
    return found[-1]


PAGES_BEFORE = ["sign-in", "sign-up", "password/reset", "password/reset/sent", "email/sent", "nowhere"]
PAGES_WITHIN = [
    "factors",
    "factors/app",
    "factors/keys/add",
    "email",
    "password",
    "reauthenticate",
    "sign-out",
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_account_pages_are_accessible(member: tuple[Page, str], stack: Any, scheme: Any) -> None:
    page, _ = member
    page.emulate_media(color_scheme=scheme)
    found = []
    for pages in (PAGES_WITHIN, PAGES_BEFORE):
        for name in pages:
            page.goto(f"/accounts/{name}")
            found += judge(page)
        page.context.clear_cookies()
    assert found == []


def sign_up(page: Page, email: str) -> None:
    page.goto("/accounts/sign-in")
    page.get_by_role("link", name="Make an account").click()
    page.get_by_label("Your name").fill("Ada")
    page.get_by_label("Organization").fill("Looms Ltd")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make the account").click()
    expect(page.get_by_role("heading", name="Look into your mail")).to_be_visible()


def sign_in(page: Page, email: str) -> None:
    page.goto("/accounts/sign-in")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def sign_out(page: Page) -> None:
    page.goto("/accounts/factors")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


@pytest.fixture
def member(context: BrowserContext, stack: Any) -> tuple[Page, str]:
    """Somebody who signed up and opened the letter's link: signed in."""
    page, email = context.new_page(), new_address()
    sign_up(page, email)
    page.goto(letter_link(stack.home, email, "email/verify"))
    page.get_by_role("button", name="Yes, it is mine").click()
    expect(page.get_by_role("navigation").first).to_be_visible()
    return page, email


def test_from_nothing_to_a_second_factor_and_back_in(member: tuple[Page, str], complaints: list[str]) -> None:
    page, email = member
    page.goto("/accounts/factors")
    page.get_by_role("link", name="Set up an app").click()
    secret = page.locator("#secret").inner_text()
    page.get_by_label("Code").fill(code_of(secret))
    page.get_by_role("button", name="Set it up").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    assert page.locator(".codes li").count() == 10
    sign_out(page)
    sign_in(page, email)
    page.get_by_label("Code").fill(code_of(secret, steps_ahead=1))
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("Looms Ltd").first).to_be_visible()
    sign_out(page)
    page.goto("/settings/keys")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert complaints == []


def test_a_passkey_signs_in_alone(member: tuple[Page, str], complaints: list[str]) -> None:
    page, _ = member
    device = page.context.new_cdp_session(page)
    device.send("WebAuthn.enable")
    device.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    page.goto("/accounts/factors")
    page.get_by_role("link", name="Add a key").click()
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    sign_out(page)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_text("Looms Ltd").first).to_be_visible()
    assert complaints == []


def test_the_console_leads_to_a_fresh_proof_and_back(
    member: tuple[Page, str], stack: Any, complaints: list[str]
) -> None:
    page, _ = member
    page.route(
        "**/api/v1/api-keys",
        lambda route: (
            route.fulfill(
                status=403,
                json={
                    "error": {
                        "message": "Confirm that it is you first.",
                        "type": "permission_error",
                        "param": None,
                        "code": "reauthentication_required",
                    }
                },
            )
            if route.request.method == "POST"
            else route.continue_()
        ),
    )
    page.goto("/settings/keys")
    page.get_by_label("Name").fill("For the nightly job")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="Is it you?")).to_be_visible()
    page.unroute("**/api/v1/api-keys")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_label("Name")).to_have_value("For the nightly job")
    page.get_by_role("button", name="Create").click()
    expect(page.locator("code", has_text=re.compile("^lw_")).first).to_be_visible()
