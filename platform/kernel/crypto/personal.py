"""Sealing of what belongs to a person and to no organization: the secrets of their second factors.

A person may be in several organizations, so their secrets are under a key of the platform's own. It is kept,
cached and wrapped as an organization's is.
"""

import base64
import binascii

from kernel.crypto import keys
from kernel.crypto.errors import CiphertextAltered
from kernel.crypto.keys import PLATFORM
from kernel.crypto.values import bind, open_value, seal_value


def seal_personal(text: str, *, purpose: str) -> str:
    """The text sealed under the platform's key, in base64. `purpose` names for ever what it is."""
    sealed = seal_value(keys.key_for(PLATFORM), text.encode(), _place(purpose))
    return base64.b64encode(sealed).decode()


def open_personal(sealed: str, *, purpose: str) -> str:
    """The text. Raises `CiphertextAltered` for anything else than was sealed for this purpose."""
    try:
        raw = base64.b64decode(sealed, validate=True)
    except (binascii.Error, ValueError):
        raise CiphertextAltered from None
    return open_value(keys.finder(PLATFORM), raw, _place(purpose)).decode()


def _place(purpose: str) -> bytes:
    return bind(f"personal:{purpose}", PLATFORM, purpose)
