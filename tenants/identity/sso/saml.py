"""SAML 2.0: the request that is sent, and every check of the response that comes back.

Built on OneLogin's toolkit, which parses and verifies, rather than on django-allauth's provider around it:
that one keeps no memory of used assertions, ties no request to a browser whose cookie does not travel with
a form from elsewhere, and takes its applications from a table without an organization. The toolkit lets
through a response without destination, audience, recipient or answered request, and compares addresses by
their beginnings; those are checked again here, exactly.
"""

import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from onelogin.saml2.authn_request import OneLogin_Saml2_Authn_Request
from onelogin.saml2.constants import OneLogin_Saml2_Constants
from onelogin.saml2.errors import OneLogin_Saml2_ValidationError
from onelogin.saml2.response import OneLogin_Saml2_Response
from onelogin.saml2.settings import OneLogin_Saml2_Settings
from onelogin.saml2.utils import OneLogin_Saml2_Utils

from tenants.identity.models import IdentityProvider
from tenants.identity.sso import addresses
from tenants.identity.sso.assertions import Asserted, first_word, words
from tenants.identity.sso.errors import SignInRefused, refused

MAX_RESPONSE_CHARACTERS = 512 * 1024
CLOCK_SKEW_SECONDS = 60
LONGEST_VALIDITY_SECONDS = 24 * 3600
# The toolkit allows five minutes, which is long for clocks that the network sets.
OneLogin_Saml2_Constants.ALLOWED_CLOCK_DRIFT = CLOCK_SKEW_SECONDS

BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
CONFIRMATIONS = (
    "/samlp:Response/saml:Assertion/saml:Subject"
    f"/saml:SubjectConfirmation[@Method='{BEARER}']/saml:SubjectConfirmationData"
)
# Other transforms can make a signature cover something else than it seems to.
TRANSFORMS = frozenset(
    {
        "http://www.w3.org/2000/09/xmldsig#enveloped-signature",
        "http://www.w3.org/2001/10/xml-exc-c14n#",
    }
)
EMAIL_NAMES = (
    "email",
    "mail",
    "urn:oid:0.9.2342.19200300.100.1.3",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
)
NAME_NAMES = (
    "name",
    "displayName",
    "urn:oid:2.16.840.1.113730.3.1.241",
    "http://schemas.microsoft.com/identity/claims/displayname",
)
GROUP_NAMES = ("groups", "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups")

_E = OneLogin_Saml2_ValidationError
CODES = {
    _E.ASSERTION_EXPIRED: "sso_expired",
    _E.ASSERTION_TOO_EARLY: "sso_expired",
    _E.SESSION_EXPIRED: "sso_expired",
    _E.WRONG_AUDIENCE: "sso_wrong_audience",
    _E.WRONG_ISSUER: "sso_wrong_issuer",
    _E.WRONG_DESTINATION: "sso_wrong_destination",
    _E.WRONG_INRESPONSETO: "sso_wrong_request",
    _E.WRONG_SUBJECTCONFIRMATION: "sso_wrong_recipient",
    _E.STATUS_CODE_IS_NOT_SUCCESS: "sso_declined",
}


@dataclass(frozen=True)
class Request:
    """A sign-in that was begun: where the browser goes, and the id that the response must name."""

    url: str
    request_id: str


@dataclass(frozen=True)
class Verified:
    """A response that holds, and for how long its assertion could be shown again."""

    asserted: Asserted
    assertion_id: str
    valid_for_seconds: int


def depart(provider: IdentityProvider, relay_state: str, *, fresh: bool) -> Request:
    """Begin a sign-in by the redirect binding; `fresh` asks the provider to see the person again."""
    request = OneLogin_Saml2_Authn_Request(_settings(provider), force_authn=fresh, set_nameid_policy=False)
    query = urlencode({"SAMLRequest": request.get_request(), "RelayState": relay_state})
    joint = "&" if "?" in provider.sign_in_url else "?"
    return Request(f"{provider.sign_in_url}{joint}{query}", request.get_id())


def metadata(provider: IdentityProvider) -> str:
    """Our own metadata for this provider, as XML."""
    found = _settings(provider).get_sp_metadata()
    return found.decode() if isinstance(found, bytes) else str(found)


def answered_request(provider: IdentityProvider, encoded: str) -> str | None:
    """The id of the request that a response says it answers; nothing of it is believed yet."""
    found = _parse(provider, encoded).get_in_response_to()
    return str(found) if found else None


def verify(provider: IdentityProvider, encoded: str, *, request_id: str | None) -> Verified:
    """What a response proves. `request_id` is None for one that nobody asked for.

    Raises `SignInRefused` with the failed check's code.
    """
    response = _parse(provider, encoded)
    try:
        response.is_valid(_request_data(provider), request_id, raise_exceptions=True)
        _check_exactly(provider, response, request_id)
        return Verified(_asserted(provider, response), response.get_assertion_id(), _validity(response))
    except SignInRefused:
        raise
    except OneLogin_Saml2_ValidationError as fault:
        raise refused(CODES.get(fault.code, "sso_bad_signature")) from None
    except Exception:
        raise refused("sso_bad_response") from None


def _parse(provider: IdentityProvider, encoded: str) -> Any:
    if not encoded or len(encoded) > MAX_RESPONSE_CHARACTERS:
        raise refused("sso_bad_response")
    try:
        return OneLogin_Saml2_Response(_settings(provider), encoded)
    except Exception:
        # The parser raises whatever its layers do: for document types and entities too, which it refuses.
        raise refused("sso_bad_response") from None


def _check_exactly(provider: IdentityProvider, response: Any, request_id: str | None) -> None:
    document, acs = response.get_xml_document(), addresses.acs(provider)
    _check_signed_form(document)
    if document.get("Destination") != acs:
        raise refused("sso_wrong_destination")
    if addresses.entity_id(provider) not in response.get_audiences():
        raise refused("sso_wrong_audience")
    if response.get_in_response_to() != request_id:
        raise refused("sso_wrong_request")
    confirmations = document.xpath(CONFIRMATIONS, namespaces=OneLogin_Saml2_Constants.NSMAP)
    if not any(_confirms(confirmation, acs, request_id) for confirmation in confirmations):
        raise refused("sso_wrong_recipient")


def _check_signed_form(document: Any) -> None:
    """Refuse what could make a signature cover another element than the one that is read."""
    identifiers = document.xpath("//@ID")
    transforms = document.xpath("//ds:Transform/@Algorithm", namespaces=OneLogin_Saml2_Constants.NSMAP)
    if len(set(identifiers)) != len(identifiers) or not set(transforms) <= TRANSFORMS:
        raise refused("sso_bad_signature")


def _confirms(confirmation: Any, acs: str, request_id: str | None) -> bool:
    until = confirmation.get("NotOnOrAfter")
    return (
        confirmation.get("Recipient") == acs
        and confirmation.get("InResponseTo") == request_id
        and until is not None
        and OneLogin_Saml2_Utils.parse_SAML_to_time(until) + CLOCK_SKEW_SECONDS > time.time()
    )


def _validity(response: Any) -> int:
    """For how long the assertion could be used again, in seconds."""
    left = int(response.get_assertion_not_on_or_after() - time.time()) + 2 * CLOCK_SKEW_SECONDS
    if left > LONGEST_VALIDITY_SECONDS:
        raise refused("sso_bad_response")
    return left


def _asserted(provider: IdentityProvider, response: Any) -> Asserted:
    attributes, mapping = response.get_attributes(), provider.attributes
    subject = response.get_nameid()
    if response.get_nameid_format() == OneLogin_Saml2_Constants.NAMEID_TRANSIENT:
        raise refused(
            "sso_transient_subject",
            "The identity provider names you differently each time; ask its administrator.",
        )
    email = first_word(attributes, [mapping["email"]] if "email" in mapping else EMAIL_NAMES)
    if not email and response.get_nameid_format() == OneLogin_Saml2_Constants.NAMEID_EMAIL_ADDRESS:
        email = subject
    groups = [mapping["groups"]] if "groups" in mapping else GROUP_NAMES
    return Asserted(
        subject=subject,
        email=email,
        name=first_word(attributes, [mapping["name"]] if "name" in mapping else NAME_NAMES),
        groups=next((found for name in groups if (found := words(attributes.get(name)))), ()),
    )


def _request_data(provider: IdentityProvider) -> dict[str, str]:
    parts = urlsplit(addresses.acs(provider))
    return {
        "https": "on" if parts.scheme == "https" else "off",
        "http_host": parts.netloc,
        "script_name": parts.path,
    }


def _settings(provider: IdentityProvider) -> Any:
    return OneLogin_Saml2_Settings(
        {
            "strict": True,
            "debug": False,
            "sp": {
                "entityId": addresses.entity_id(provider),
                "assertionConsumerService": {"url": addresses.acs(provider)},
                "NameIDFormat": OneLogin_Saml2_Constants.NAMEID_UNSPECIFIED,
            },
            "idp": {
                "entityId": provider.issuer,
                "singleSignOnService": {"url": provider.sign_in_url},
                "x509certMulti": {"signing": list(provider.certificates)},
            },
            "security": {
                "wantAssertionsSigned": True,
                "wantNameId": True,
                "wantAttributeStatement": False,
                "requestedAuthnContext": False,
                "rejectDeprecatedAlgorithm": True,
                "allowRepeatAttributeName": True,
            },
        }
    )
