"""A little SAML identity provider: it makes and signs responses, rightly or wrongly."""

import base64
import copy
import secrets
import zlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from lxml import etree

ENTITY_ID = "https://idp.example/entity"
SIGN_IN_URL = "https://idp.example/sign-in"
SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"


@dataclass(frozen=True)
class Credentials:
    """A key and its certificate, both as PEM."""

    key: bytes
    certificate: bytes

    @property
    def bare(self) -> str:
        """The certificate as metadata carry it."""
        return "".join(self.certificate.decode().splitlines()[1:-1])


def new_credentials(*, days: int = 30) -> Credentials:
    """A fresh key with a certificate that it signed itself."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Credentials(pem, certificate.public_bytes(Encoding.PEM))


OURS = new_credentials()
OTHERS = new_credentials()


@dataclass(frozen=True)
class Statement:
    """What a response says; a test changes the one thing that is wrong."""

    acs: str
    audience: str
    email: str
    request_id: str | None = None
    subject: str = "subject-1"
    subject_format: str = PERSISTENT
    destination: str | None = ""
    recipient: str | None = ""
    confirmed_request: str | None = ""
    issuer: str = ENTITY_ID
    status: str = SUCCESS
    assertion_id: str = ""
    valid_from_seconds: int = -5
    valid_for_seconds: int = 300
    confirmed_for_seconds: int | None = 300
    attributes: tuple[tuple[str, str], ...] = ()


def metadata(credentials: Credentials = OURS) -> str:
    """The provider's metadata."""
    return (
        f'<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{ENTITY_ID}">'
        '<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">'
        '<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#">'
        f"<ds:X509Data><ds:X509Certificate>{credentials.bare}</ds:X509Certificate></ds:X509Data>"
        "</ds:KeyInfo></md:KeyDescriptor>"
        '<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" '
        f'Location="{SIGN_IN_URL}"/></md:IDPSSODescriptor></md:EntityDescriptor>'
    )


def request_id_of(query: dict[str, str]) -> str:
    """The id of the request that a browser was sent with."""
    return str(request_of(query).get("ID"))


def request_of(query: dict[str, str]) -> Any:
    """The request that a browser was sent with."""
    return etree.fromstring(zlib.decompress(base64.b64decode(query["SAMLRequest"]), -15))


def respond(statement: Statement, credentials: Credentials = OURS) -> str:
    """A response with a signed assertion, as a form carries it."""
    return encode(signed(build(statement), credentials))


def encode(document: Any) -> str:
    """A document as a form carries it."""
    return base64.b64encode(etree.tostring(document)).decode()


def build(statement: Statement) -> Any:
    """The response without any signature."""
    s = _filled(statement)
    conditions = f'NotBefore="{_at(s.valid_from_seconds)}" NotOnOrAfter="{_at(s.valid_for_seconds)}"'
    confirmed = _attributes(
        Recipient=s.recipient,
        InResponseTo=s.confirmed_request,
        NotOnOrAfter=None if s.confirmed_for_seconds is None else _at(s.confirmed_for_seconds),
    )
    audience = (
        f"<saml:AudienceRestriction><saml:Audience>{s.audience}</saml:Audience></saml:AudienceRestriction>"
    )
    values = "".join(
        f'<saml:Attribute Name="{name}"><saml:AttributeValue>{value}</saml:AttributeValue></saml:Attribute>'
        for name, value in (("email", s.email), *s.attributes)
    )
    return etree.fromstring(
        f'<samlp:Response xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}" ID="_{secrets.token_hex(16)}" '
        f'Version="2.0" IssueInstant="{_at(0)}" '
        f"{_attributes(Destination=s.destination, InResponseTo=s.request_id)}>"
        f"<saml:Issuer>{s.issuer}</saml:Issuer>"
        f'<samlp:Status><samlp:StatusCode Value="{s.status}"/></samlp:Status>'
        f'<saml:Assertion ID="{s.assertion_id}" Version="2.0" IssueInstant="{_at(0)}">'
        f"<saml:Issuer>{s.issuer}</saml:Issuer>"
        f'<saml:Subject><saml:NameID Format="{s.subject_format}">{s.subject}</saml:NameID>'
        '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">'
        f"<saml:SubjectConfirmationData {confirmed}/></saml:SubjectConfirmation></saml:Subject>"
        f"<saml:Conditions {conditions}>{audience if s.audience else ''}</saml:Conditions>"
        f'<saml:AuthnStatement AuthnInstant="{_at(0)}"><saml:AuthnContext><saml:AuthnContextClassRef>'
        "urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext>"
        f"</saml:AuthnStatement><saml:AttributeStatement>{values}</saml:AttributeStatement>"
        "</saml:Assertion></samlp:Response>"
    )


def signed(
    document: Any,
    credentials: Credentials = OURS,
    *,
    element: str = f"{{{SAML}}}Assertion",
    method: Any = xmlsec.Transform.RSA_SHA256,
    digest: Any = xmlsec.Transform.SHA256,
) -> Any:
    """The document with its assertion (or another element) signed."""
    target = document if document.tag == element else document.find(element)
    xmlsec.tree.add_ids(document, ["ID"])
    signature = xmlsec.template.create(target, xmlsec.Transform.EXCL_C14N, method, ns="ds")
    target.insert(1, signature)
    reference = xmlsec.template.add_reference(signature, digest, uri=f"#{target.get('ID')}")
    xmlsec.template.add_transform(reference, xmlsec.Transform.ENVELOPED)
    xmlsec.template.add_transform(reference, xmlsec.Transform.EXCL_C14N)
    xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(signature))
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(credentials.key, xmlsec.KeyFormat.PEM)
    context.key.load_cert_from_memory(credentials.certificate, xmlsec.KeyFormat.CERT_PEM)
    context.sign(signature)
    return document


def forged(document: Any, email: str) -> Any:
    """A copy of the document's assertion without its signature, about somebody else."""
    assertion = copy.deepcopy(document.find(f"{{{SAML}}}Assertion"))
    assertion.remove(assertion.find("{http://www.w3.org/2000/09/xmldsig#}Signature"))
    assertion.set("ID", f"_{secrets.token_hex(16)}")
    assertion.find(f".//{{{SAML}}}AttributeValue").text = email
    assertion.find(f".//{{{SAML}}}NameID").text = "somebody else"
    return assertion


def _filled(statement: Statement) -> Statement:
    """The statement with what follows from the rest: an empty text stands for the right value."""
    return replace(
        statement,
        destination=statement.acs if statement.destination == "" else statement.destination,
        recipient=statement.acs if statement.recipient == "" else statement.recipient,
        confirmed_request=(
            statement.request_id if statement.confirmed_request == "" else statement.confirmed_request
        ),
        assertion_id=statement.assertion_id or f"_{secrets.token_hex(16)}",
    )


def _attributes(**values: str | None) -> str:
    return " ".join(f'{name}="{value}"' for name, value in values.items() if value is not None)


def _at(seconds: int) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
