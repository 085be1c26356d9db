"""What a SAML identity provider publishes of itself: its name, its address, its certificates."""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from onelogin.saml2.idp_metadata_parser import OneLogin_Saml2_IdPMetadataParser

from tenants.identity.sso import outgoing
from tenants.identity.sso.errors import ProviderUnusable

MAX_CERTIFICATES = 10
ARMOUR = re.compile(r"-----(BEGIN|END) CERTIFICATE-----|\s+")


@dataclass(frozen=True)
class Published:
    """The parts of an identity provider's metadata that are used."""

    entity_id: str
    sign_in_url: str
    certificates: tuple[str, ...]


@dataclass(frozen=True)
class Certificate:
    """What people compare of a certificate."""

    sha256: str
    expires_at: datetime


def fetch(url: str) -> Published:
    """Read the metadata at an address. Raises `EgressFault`, `ProviderUnusable`."""
    return parse(outgoing.read(url).decode("utf-8", "replace"))


def parse(xml: str) -> Published:
    """Read metadata. Raises `ProviderUnusable` with what is missing."""
    try:
        idp = OneLogin_Saml2_IdPMetadataParser.parse(xml.encode()).get("idp", {})
    except Exception:
        # The parser raises whatever its layers do.
        raise ProviderUnusable("The metadata are not XML that can be read.", param="metadata_xml") from None
    several = idp.get("x509certMulti", {}).get("signing", [])
    certificates = several or ([idp["x509cert"]] if "x509cert" in idp else [])
    entity_id, sign_in_url = idp.get("entityId"), idp.get("singleSignOnService", {}).get("url")
    if not entity_id or not sign_in_url:
        raise ProviderUnusable(
            "The metadata describe no identity provider with an entity id and a sign-in address by redirect.",
            param="metadata_xml",
        )
    return Published(entity_id, sign_in_url, plain(certificates))


def plain(certificates: Sequence[str]) -> tuple[str, ...]:
    """Certificates as bare base64 of their DER form. Raises `ProviderUnusable` for what is none."""
    bare = tuple(ARMOUR.sub("", text) for text in certificates)
    for text in bare:
        read(text)
    if not 0 < len(bare) <= MAX_CERTIFICATES:
        raise ProviderUnusable(
            f"1 to {MAX_CERTIFICATES} signing certificates are needed, not {len(bare)}.", param="certificates"
        )
    return bare


def read(certificate: str) -> Certificate:
    """What people compare of a certificate. Raises `ProviderUnusable`."""
    try:
        found = x509.load_der_x509_certificate(base64.b64decode(certificate, validate=True))
    except (ValueError, binascii.Error):
        raise ProviderUnusable(
            "A certificate cannot be read: give it in PEM.", param="certificates"
        ) from None
    return Certificate(found.fingerprint(SHA256()).hex(), found.not_valid_after_utc)
