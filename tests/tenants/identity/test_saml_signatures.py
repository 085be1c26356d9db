"""Signatures of SAML assertions: every forgery is refused."""

from typing import Any

import pytest
import xmlsec
from lxml import etree

from tests.cast import Person
from tests.tenants.identity import saml_provider
from tests.tenants.identity.arriving import (
    denials,
    depart,
    domain_of,
    refusal_of,
    set_up,
)
from tests.tenants.identity.saml_arrivals import come_back, post, provider_of, statement_for
from tests.tenants.identity.saml_provider import (
    OTHERS,
    OURS,
    SAML,
    SAMLP,
    build,
    encode,
    forged,
    new_credentials,
    respond,
    signed,
)

pytestmark = pytest.mark.usefixtures("stores")
ASSERTION = f"{{{SAML}}}Assertion"


def refused_document(owner: Person, spoil: Any) -> str:
    """The code by which a response is refused whose signed document was changed afterwards."""
    shown, email = provider_of(owner), f"ada@{domain_of(owner)}"
    departure = depart(shown["addresses"]["start_url"])
    document = signed(build(statement_for(shown, email, departure)))
    spoiled = spoil(document, f"eve@{email.partition('@')[2]}")
    return refusal_of(post(shown, encode(spoiled), departure.query["RelayState"]))


def test_an_unsigned_assertion_is_refused(owner: Person) -> None:
    shown, email = provider_of(owner), f"ada@{domain_of(owner)}"
    departure = depart(shown["addresses"]["start_url"])
    document = build(statement_for(shown, email, departure))
    assert refusal_of(post(shown, encode(document))) == "sso_bad_signature"


def test_an_assertion_in_a_signed_response_must_be_signed_itself(owner: Person) -> None:
    shown, email = provider_of(owner), f"ada@{domain_of(owner)}"
    departure = depart(shown["addresses"]["start_url"])
    document = build(statement_for(shown, email, departure))
    whole = signed(document, element=f"{{{SAMLP}}}Response")
    assert refusal_of(post(shown, encode(whole))) == "sso_bad_signature"


def test_a_signature_by_another_key_is_refused_whatever_certificate_it_brings(owner: Person) -> None:
    shown, email = provider_of(owner), f"ada@{domain_of(owner)}"
    departure = depart(shown["addresses"]["start_url"])
    encoded = respond(statement_for(shown, email, departure), OTHERS)
    assert refusal_of(post(shown, encoded)) == "sso_bad_signature"
    assert denials(owner) == ["sso_bad_signature"]


def test_a_changed_assertion_is_refused(owner: Person) -> None:
    def spoil(document: Any, email: str) -> Any:
        document.find(f".//{{{SAML}}}AttributeValue").text = email
        return document

    assert refused_document(owner, spoil) == "sso_bad_signature"


def test_a_signature_by_sha1_is_refused(owner: Person) -> None:
    shown, email = provider_of(owner), f"ada@{domain_of(owner)}"
    departure = depart(shown["addresses"]["start_url"])
    document = build(statement_for(shown, email, departure))
    weak = signed(document, method=xmlsec.Transform.RSA_SHA1, digest=xmlsec.Transform.SHA1)
    assert refusal_of(post(shown, encode(weak))) == "sso_bad_signature"


def forged_first(document: Any, email: str) -> Any:
    """The forged assertion before the signed one."""
    document.insert(list(document).index(document.find(ASSERTION)), forged(document, email))
    return document


def forged_last(document: Any, email: str) -> Any:
    """The forged assertion after the signed one."""
    document.append(forged(document, email))
    return document


def signed_inside_the_forged(document: Any, email: str) -> Any:
    """The signed assertion moved into the forged one's subject confirmation."""
    honest, false = document.find(ASSERTION), forged(document, email)
    document.replace(honest, false)
    false.find(f".//{{{SAML}}}SubjectConfirmationData").append(honest)
    return document


def signed_inside_the_signature(document: Any, email: str) -> Any:
    """The signature moved to the forged assertion, with the signed one as an object in it."""
    honest, false = document.find(ASSERTION), forged(document, email)
    document.replace(honest, false)
    signature = honest.find("{http://www.w3.org/2000/09/xmldsig#}Signature")
    honest.remove(signature)
    held = etree.SubElement(signature, "{http://www.w3.org/2000/09/xmldsig#}Object")
    held.append(honest)
    false.insert(1, signature)
    return document


def signed_in_an_extension(document: Any, email: str) -> Any:
    """The signed assertion moved into the response's extensions, the forged one in its place."""
    honest, false = document.find(ASSERTION), forged(document, email)
    document.replace(honest, false)
    extensions = etree.Element(f"{{{SAMLP}}}Extensions")
    document.insert(1, extensions)
    extensions.append(honest)
    return document


def forged_with_the_same_id(document: Any, email: str) -> Any:
    """The forged assertion under the id of the signed one."""
    false = forged(document, email)
    false.set("ID", document.find(ASSERTION).get("ID"))
    return forged_first_with(document, false)


def forged_first_with(document: Any, false: Any) -> Any:
    document.insert(list(document).index(document.find(ASSERTION)), false)
    return document


@pytest.mark.parametrize(
    "wrap",
    [
        forged_first,
        forged_last,
        signed_inside_the_forged,
        signed_inside_the_signature,
        signed_in_an_extension,
        forged_with_the_same_id,
    ],
)
def test_a_wrapped_signature_is_refused(owner: Person, wrap: Any) -> None:
    assert refused_document(owner, wrap) == "sso_bad_signature"
    assert denials(owner) == ["sso_bad_signature"]


def test_a_comment_in_an_address_cuts_nothing_off(owner: Person) -> None:
    shown, domain = provider_of(owner), domain_of(owner)
    departure = depart(shown["addresses"]["start_url"])
    document = build(statement_for(shown, f"ada@{domain}.evil.example", departure))
    value = document.find(f".//{{{SAML}}}AttributeValue")
    value.text, comment = f"ada@{domain}", etree.Comment("x")
    comment.tail = ".evil.example"
    value.append(comment)
    answer = come_back(shown, departure, encode(signed(document)))
    assert refusal_of(answer) == "sso_foreign_domain"


def test_several_certificates_are_believed_while_keys_change(owner: Person) -> None:
    domain, new = domain_of(owner), new_credentials()
    shown = set_up(
        owner,
        kind="saml",
        issuer=saml_provider.ENTITY_ID,
        sign_in_url=saml_provider.SIGN_IN_URL,
        certificates=[OURS.certificate.decode(), new.certificate.decode()],
    )
    for credentials in (OURS, new):
        departure = depart(shown["addresses"]["start_url"])
        encoded = respond(statement_for(shown, f"ada@{domain}", departure), credentials)
        assert come_back(shown, departure, encoded).status_code == 302
