"""Browsers that go to a SAML identity provider and come back."""

from typing import Any

from tests.cast import Person
from tests.tenants.identity.arriving import (
    Departure,
    a_browser,
    path_of,
    set_up,
)
from tests.tenants.identity.saml_provider import (
    Statement,
    metadata,
    request_id_of,
)


def provider_of(person: Person, **wishes: Any) -> dict[str, Any]:
    return set_up(person, kind="saml", metadata_xml=metadata(), default_role="viewer", **wishes)


def statement_for(shown: dict[str, Any], email: str, departure: Departure | None = None) -> Statement:
    """What an honest provider would say."""
    return Statement(
        acs=shown["addresses"]["acs_url"],
        audience=shown["addresses"]["entity_id"],
        email=email,
        request_id=request_id_of(departure.query) if departure else None,
    )


def post(shown: dict[str, Any], encoded: str, relay_state: str = "") -> Any:
    """The form as it comes: from another site, without a cookie."""
    form = {"SAMLResponse": encoded, "RelayState": relay_state}
    return a_browser().post(path_of(shown["addresses"]["acs_url"]), form)


def come_back(shown: dict[str, Any], departure: Departure, encoded: str) -> Any:
    """Post the response; when it holds, let the browser pick it up."""
    answer = post(shown, encoded, departure.query["RelayState"])
    if answer.status_code != 303:
        return answer
    return departure.browser.get(path_of(answer["Location"]))
