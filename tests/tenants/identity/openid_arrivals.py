"""Browsers that go to an OpenID provider and come back."""

from typing import Any

from tenants.access.models import User
from tests.cast import Person
from tests.tenants.identity.arriving import (
    Departure,
    depart,
    path_of,
    refusal_of,
    set_up,
)
from tests.tenants.identity.openid_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    OpenIdProvider,
)


def provider_of(person: Person, openid: OpenIdProvider, **wishes: Any) -> dict[str, Any]:
    return set_up(
        person,
        **{
            "kind": "oidc",
            "issuer": openid.issuer,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "default_role": "viewer",
            **wishes,
        },
    )


def come_back(departure: Departure, shown: dict[str, Any], query: dict[str, str]) -> Any:
    return departure.browser.get(path_of(shown["addresses"]["callback_url"]), query)


def sign_in(
    shown: dict[str, Any], openid: OpenIdProvider, email: str, **claims: Any
) -> tuple[Departure, Any]:
    """Go to the provider, be let in there, and come back."""
    departure = depart(shown["addresses"]["start_url"])
    subject = claims.pop("sub", f"subject of {email}")
    query = openid.let_in(departure.query, subject, email=email, **claims)
    return departure, come_back(departure, shown, query)


def refused(shown: dict[str, Any], openid: OpenIdProvider, email: str, **claims: Any) -> str:
    departure, answer = sign_in(shown, openid, email, **claims)
    code = refusal_of(answer)
    assert departure.browser.get("/api/v1/session").status_code == 401
    return code


def renamed(person: Person, email: str) -> Person:
    """The same person at another address."""
    User.objects.filter(pk=person.user.pk).update(email=email)
    person.user.refresh_from_db()
    return person
