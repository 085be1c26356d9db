"""Sealing of what belongs to a person and to no organization: the secrets of their second factors.

A person may be in several organizations, so their secrets are under a key of the platform's own. It is kept,
cached and wrapped as an organization's is.
"""

import base64
import binascii
from collections.abc import Callable

from kernel.crypto import keys
from kernel.crypto.errors import CiphertextAltered
from kernel.crypto.keys import PLATFORM
from kernel.crypto.values import bind, key_id_of, open_value, seal_value


def seal_personal(text: str, *, purpose: str) -> str:
    """The text sealed under the platform's key, in base64. `purpose` names for ever what it is."""
    sealed = seal_value(keys.key_for(PLATFORM), text.encode(), _place(purpose))
    return base64.b64encode(sealed).decode()


def open_personal(sealed: str, *, purpose: str) -> str:
    """The text. Raises `CiphertextAltered` for anything else than was sealed for this purpose."""
    return open_value(keys.finder(PLATFORM), _raw(sealed), _place(purpose)).decode()


Resealer = Callable[[], int]
_resealers: list[Resealer] = []


def holds_personal(resealer: Resealer) -> Resealer:
    """Register what seals anew (`reseal_personal`) all secrets that a room keeps; it answers how many."""
    _resealers.append(resealer)
    return resealer


def reseal_all() -> int:
    """Put everything personal under the platform's newest key; answers how many secrets. Safe to repeat."""
    return sum(resealer() for resealer in _resealers)


def reseal_personal(sealed: str, *, purpose: str) -> str | None:
    """The same secret under the newest key, unless it is already. Raises `CiphertextAltered`."""
    raw = _raw(sealed)
    if key_id_of(raw) == keys.key_for(PLATFORM).key_id:
        return None
    return seal_personal(open_personal(sealed, purpose=purpose), purpose=purpose)


def _raw(sealed: str) -> bytes:
    try:
        return base64.b64decode(sealed, validate=True)
    except (binascii.Error, ValueError):
        raise CiphertextAltered from None


def _place(purpose: str) -> bytes:
    return bind(f"personal:{purpose}", PLATFORM, purpose)
