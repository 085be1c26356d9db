"""E-mail addresses: one form for each, and none that only looks like another."""

import re

from kernel.errors import InvalidRequest

MAX_ADDRESS_CHARACTERS = 254
MAX_LOCAL_CHARACTERS = 64
LOCAL = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class BadAddress(InvalidRequest):
    """The text is no e-mail address."""

    code = "invalid_email"


class LookAlikeAddress(InvalidRequest):
    """The address has letters beyond ASCII, among which many look like others."""

    code = "email_not_ascii"


def normalise(text: object, *, param: str = "email") -> str:
    """The one form of an e-mail address: in lower case, without spaces around it.

    Letters beyond ASCII are refused before anything else, since some become ASCII in lower case (the Kelvin
    sign becomes a k) and many look like it. Raises `BadAddress`, `LookAlikeAddress`.
    """
    if not isinstance(text, str):
        raise BadAddress(f"'{param}' must be text: an e-mail address.", param=param)
    address = text.strip(" ")
    if not address.isascii():
        raise LookAlikeAddress(
            f"'{param}' has characters that are not ASCII, which can look like other letters; write "
            "international domain names in their 'xn--' form.",
            param=param,
        )
    address = address.lower()
    if not address or len(address) > MAX_ADDRESS_CHARACTERS:
        raise BadAddress(f"'{param}' must have 1 to {MAX_ADDRESS_CHARACTERS} characters.", param=param)
    local, at, domain = address.rpartition("@")
    if not at or len(local) > MAX_LOCAL_CHARACTERS or not LOCAL.fullmatch(local):
        raise BadAddress(f"'{param}' is no e-mail address: write it like name@example.com.", param=param)
    if not DOMAIN.fullmatch(domain):
        raise BadAddress(f"'{param}' has a part after the @ that is no domain name.", param=param)
    return address
