"""Single sign-on by SAML: who gets in, and everything that does not."""

import base64
from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from tests.cast import Person
from tests.tenants.identity import saml_provider
from tests.tenants.identity.arriving import (
    JSON,
    PROVIDERS,
    a_browser,
    denials,
    depart,
    domain_of,
    path_of,
    refusal_of,
    session_of,
)
from tests.tenants.identity.saml_arrivals import come_back, post, provider_of, statement_for
from tests.tenants.identity.saml_provider import (
    SAML,
    SAMLP,
    build,
    encode,
    request_id_of,
    request_of,
    respond,
    signed,
)

pytestmark = pytest.mark.usefixtures("stores")


def refused(owner: Person, **wrong: Any) -> str:
    """The code by which an otherwise honest response is refused that has these wrong values."""
    shown, email = provider_of(owner), f"ada@{domain_of(owner)}"
    departure = depart(shown["addresses"]["start_url"])
    statement = replace(statement_for(shown, email, departure), **wrong)
    return refusal_of(post(shown, respond(statement), departure.query["RelayState"]))


def test_a_newcomer_of_a_verified_domain_comes_in(owner: Person) -> None:
    shown, email = provider_of(owner), f"ada@{domain_of(owner)}"
    departure = depart(f"{shown['addresses']['start_url']}?next=/training")
    named = replace(
        statement_for(shown, email, departure),
        attributes=(("displayName", "Ada Lovelace"),),
    )
    answer = come_back(shown, departure, respond(named))
    assert (answer.status_code, answer["Location"]) == (302, "/training")
    session = session_of(departure.browser)
    assert (session["user"]["email"], session["user"]["name"]) == (email, "Ada Lovelace")
    assert (session["organization"]["id"], session["role"]) == (owner.organization.public_id, "viewer")


def test_the_request_names_the_address_to_answer_to(owner: Person) -> None:
    shown = provider_of(owner)
    departure = depart(shown["addresses"]["start_url"])
    assert departure.url.startswith(saml_provider.SIGN_IN_URL)
    asked = request_of(departure.query)
    assert asked.get("AssertionConsumerServiceURL") == shown["addresses"]["acs_url"]
    assert asked.findtext(f"{{{SAML}}}Issuer") == shown["addresses"]["entity_id"]


def test_our_metadata_are_public(owner: Person) -> None:
    shown = provider_of(owner)
    answer = a_browser().get(path_of(shown["addresses"]["entity_id"]))
    document = etree.fromstring(answer.content)
    assert document.get("entityID") == shown["addresses"]["entity_id"]
    assert shown["addresses"]["acs_url"] in answer.content.decode()


def test_an_address_in_the_name_id_will_do(owner: Person) -> None:
    shown, email = provider_of(owner), f"ada@{domain_of(owner)}"
    departure = depart(shown["addresses"]["start_url"])
    by_name = replace(
        statement_for(shown, "", departure),
        subject=email,
        subject_format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
    )
    come_back(shown, departure, respond(by_name))
    assert session_of(departure.browser)["user"]["email"] == email


def test_a_response_that_is_signed_as_a_whole_besides_will_do(owner: Person) -> None:
    shown, email = provider_of(owner), f"ada@{domain_of(owner)}"
    departure = depart(shown["addresses"]["start_url"])
    document = signed(build(statement_for(shown, email, departure)))
    both = signed(document, element=f"{{{SAMLP}}}Response")
    assert come_back(shown, departure, encode(both)).status_code == 302


def test_an_assertion_for_another_audience_is_refused(owner: Person) -> None:
    assert refused(owner, audience="https://other.example/metadata") == "sso_wrong_audience"


def test_an_assertion_for_no_audience_is_refused(owner: Person) -> None:
    assert refused(owner, audience="") == "sso_wrong_audience"


def test_an_assertion_for_another_recipient_is_refused(owner: Person) -> None:
    assert refused(owner, recipient="https://other.example/acs") == "sso_wrong_recipient"


def test_an_assertion_for_no_recipient_is_refused(owner: Person) -> None:
    assert refused(owner, recipient=None) == "sso_wrong_recipient"


def test_a_recipient_that_only_contains_ours_is_refused(owner: Person) -> None:
    shown = provider_of(owner)
    departure = depart(shown["addresses"]["start_url"])
    honest = statement_for(shown, f"ada@{domain_of(owner)}", departure)
    longer = replace(honest, recipient=f"{honest.acs}.evil.example")
    assert refusal_of(post(shown, respond(longer))) == "sso_wrong_recipient"


def test_a_response_to_another_destination_is_refused(owner: Person) -> None:
    assert refused(owner, destination="https://other.example/acs") == "sso_wrong_destination"


def test_a_response_without_a_destination_is_refused(owner: Person) -> None:
    assert refused(owner, destination=None) == "sso_wrong_destination"


def test_a_response_of_another_issuer_is_refused(owner: Person) -> None:
    assert refused(owner, issuer="https://evil.example/entity") == "sso_wrong_issuer"


def test_an_expired_assertion_is_refused(owner: Person) -> None:
    assert refused(owner, valid_for_seconds=-70) == "sso_expired"


def test_an_assertion_from_the_future_is_refused(owner: Person) -> None:
    assert refused(owner, valid_from_seconds=200) == "sso_expired"


def test_an_expired_confirmation_is_refused(owner: Person) -> None:
    assert refused(owner, confirmed_for_seconds=-70) == "sso_wrong_recipient"


def test_a_confirmation_that_never_expires_is_refused(owner: Person) -> None:
    assert refused(owner, confirmed_for_seconds=None) == "sso_wrong_recipient"


def test_an_assertion_that_is_valid_for_days_is_refused(owner: Person) -> None:
    assert refused(owner, confirmed_for_seconds=3 * 24 * 3600) == "sso_bad_response"


def test_a_failure_at_the_provider_is_no_sign_in(owner: Person) -> None:
    denied = "urn:oasis:names:tc:SAML:2.0:status:Responder"
    assert refused(owner, status=denied) == "sso_declined"


def test_a_subject_that_changes_each_time_is_refused(owner: Person) -> None:
    transient = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
    assert refused(owner, subject_format=transient) == "sso_transient_subject"


def test_a_clock_that_differs_a_little_is_borne(owner: Person) -> None:
    shown, email = provider_of(owner), f"ada@{domain_of(owner)}"
    departure = depart(shown["addresses"]["start_url"])
    late = replace(statement_for(shown, email, departure), valid_from_seconds=30)
    assert come_back(shown, departure, respond(late)).status_code == 302


def test_an_answer_to_another_request_is_refused(owner: Person) -> None:
    assert refused(owner, request_id="_another") == "sso_wrong_request"


def test_a_confirmation_of_another_request_is_refused(owner: Person) -> None:
    assert refused(owner, confirmed_request="_another") == "sso_wrong_recipient"


def test_a_response_is_used_once(owner: Person) -> None:
    shown, email = provider_of(owner), f"ada@{domain_of(owner)}"
    departure = depart(shown["addresses"]["start_url"])
    encoded = respond(statement_for(shown, email, departure))
    assert come_back(shown, departure, encoded).status_code == 302
    assert refusal_of(post(shown, encoded)) == "sso_replayed"


def test_a_request_is_answered_once(owner: Person) -> None:
    shown, email = provider_of(owner), f"ada@{domain_of(owner)}"
    departure = depart(shown["addresses"]["start_url"])
    honest = statement_for(shown, email, departure)
    assert come_back(shown, departure, respond(honest)).status_code == 302
    assert refusal_of(post(shown, respond(honest))) == "sso_wrong_request"


def test_a_ticket_is_picked_up_once_and_only_by_the_browser_that_asked(owner: Person) -> None:
    shown, email = provider_of(owner), f"ada@{domain_of(owner)}"
    departure = depart(shown["addresses"]["start_url"])
    encoded = respond(statement_for(shown, email, departure))
    location = path_of(post(shown, encoded, departure.query["RelayState"])["Location"])
    victim = a_browser()
    assert refusal_of(victim.get(location)) == "sso_unknown_state"
    assert victim.get("/api/v1/session").status_code == 401
    assert refusal_of(departure.browser.get(location)) == "sso_replayed"


def test_another_relay_state_is_refused(owner: Person) -> None:
    shown, email = provider_of(owner), f"ada@{domain_of(owner)}"
    departure = depart(shown["addresses"]["start_url"])
    answer = post(shown, respond(statement_for(shown, email, departure)), "another")
    assert refusal_of(departure.browser.get(path_of(answer["Location"]))) == "sso_wrong_relay_state"


def test_an_unsolicited_response_is_refused_unless_the_provider_allows_it(owner: Person) -> None:
    domain = domain_of(owner)
    closed, open_ = provider_of(owner), provider_of(owner, allow_idp_initiated=True)
    assert refusal_of(post(closed, respond(statement_for(closed, f"ada@{domain}")))) == "sso_unsolicited"
    answer = post(open_, respond(statement_for(open_, f"ada@{domain}")))
    browser = a_browser()
    assert browser.get(path_of(answer["Location"])).status_code == 302
    assert session_of(browser)["user"]["email"] == f"ada@{domain}"


def test_an_unsolicited_response_is_used_once(owner: Person) -> None:
    shown = provider_of(owner, allow_idp_initiated=True)
    encoded = respond(statement_for(shown, f"ada@{domain_of(owner)}"))
    assert post(shown, encoded).status_code == 303
    assert refusal_of(post(shown, encoded)) == "sso_replayed"


def test_a_person_of_a_foreign_domain_is_refused(owner: Person, stranger: Person) -> None:
    shown = provider_of(owner)
    domain_of(owner)
    departure = depart(shown["addresses"]["start_url"])
    statement = statement_for(shown, f"ada@{domain_of(stranger)}", departure)
    assert refusal_of(come_back(shown, departure, respond(statement))) == "sso_foreign_domain"
    assert denials(owner) == ["sso_foreign_domain"]


def test_an_assertion_for_one_organization_is_none_for_another(owner: Person, stranger: Person) -> None:
    """Both use the same provider, with the same key and the same name."""
    ours, theirs = provider_of(owner), provider_of(stranger)
    domain = domain_of(stranger)
    departure = depart(ours["addresses"]["start_url"])
    encoded = respond(statement_for(ours, f"ada@{domain}", departure))
    assert refusal_of(post(theirs, encoded)) == "sso_wrong_destination"
    redirected = replace(statement_for(ours, f"ada@{domain}", departure), acs=theirs["addresses"]["acs_url"])
    assert refusal_of(post(theirs, respond(redirected))) == "sso_wrong_audience"


def test_a_request_of_one_organization_cannot_be_answered_at_another(owner: Person, stranger: Person) -> None:
    ours, theirs = provider_of(owner), provider_of(stranger)
    departure = depart(ours["addresses"]["start_url"])
    statement = replace(
        statement_for(theirs, f"ada@{domain_of(stranger)}"), request_id=request_id_of(departure.query)
    )
    assert refusal_of(post(theirs, respond(statement))) == "sso_wrong_request"


NOT_A_RESPONSE = {
    "nothing": "",
    "no base64": "%%%",
    "no xml": base64.b64encode(b"hello").decode(),
    "another document": base64.b64encode(b"<a/>").decode(),
    "an entity": base64.b64encode(
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'
    ).decode(),
    "a bomb": base64.b64encode(b'<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;">]><a>&y;</a>').decode(),
    "far too much": "A" * 600_000,
}


@pytest.mark.parametrize("kind", NOT_A_RESPONSE)
def test_what_is_no_response_is_refused(owner: Person, kind: str) -> None:
    shown = provider_of(owner, allow_idp_initiated=True)
    assert refusal_of(post(shown, NOT_A_RESPONSE[kind])).startswith("sso_bad_")


def test_bad_metadata_are_refused_with_what_is_wrong(owner: Person) -> None:
    for xml in ("hello", "<a/>", "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>"):
        body = {"name": "A provider", "kind": "saml", "metadata_xml": xml}
        answer = owner.browser.post(PROVIDERS, body, content_type=JSON)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (400, "provider_unusable")
        assert error["param"] == "metadata_xml"
