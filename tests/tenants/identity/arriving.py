"""What tests of single sign-on share: verified domains, and browsers that go to a provider and come back."""

import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.db.models.functions import Now
from django.test import Client

from kernel.audit.models import AuditEntry
from tenants.identity.models import Domain
from tests.cast import HOST, Person

PROVIDERS = "/api/v1/organization/identity-providers"
JSON = "application/json"


def domain_of(person: Person) -> str:
    """A fresh domain, verified by the person's organization."""
    name = f"{secrets.token_hex(6)}.example"
    with person.acting():
        Domain.objects.create(name=name, token="x", verified_at=Now(), checked_at=Now())
    return name


def set_up(person: Person, **wishes: Any) -> dict[str, Any]:
    """A provider of the person's organization, as REST shows it."""
    body = {"name": f"Provider {secrets.token_hex(4)}", **wishes}
    answer = person.browser.post(PROVIDERS, body, content_type=JSON)
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()
    return found


@dataclass(frozen=True)
class Departure:
    """A browser at the provider's door: where it was sent, and with what."""

    browser: Client
    url: str
    query: dict[str, str]


def a_browser() -> Client:
    """A browser that nobody has signed in with."""
    return Client(SERVER_NAME=HOST)


def depart(address: str, browser: Client | None = None) -> Departure:
    """Begin a sign-in at an address of ours."""
    browser = browser or a_browser()
    answer = browser.get(path_of(address))
    assert answer.status_code == 200, answer.content
    url = answer["Refresh"].removeprefix("0; url=")
    return Departure(browser, url, dict(parse_qsl(urlsplit(url).query)))


def path_of(address: str) -> str:
    """An absolute address of ours without its host."""
    parts = urlsplit(address)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def refusal_of(answer: Any) -> str:
    """The code on the page of a refused sign-in."""
    text = answer.content.decode()
    assert "If you ask for help, name this reason" in text, (answer.status_code, text)
    return str(text.partition("<code>")[2].partition("</code>")[0])


def session_of(browser: Client) -> dict[str, Any]:
    """What the console would learn of the session."""
    answer = browser.get("/api/v1/session")
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def denials(person: Person) -> list[str]:
    """Why sign-ins to the person's organization were refused, by its audit log."""
    with person.acting():
        entries = AuditEntry.objects.filter(action="session.sign_in", outcome="denied")
        return [entry.details["reason"] for entry in entries]
