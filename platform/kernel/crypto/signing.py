"""Sign as the platform, and check what it signed."""

from functools import lru_cache
from pathlib import Path

from django.conf import settings

from kernel.crypto.signatures import Signature, SignatureRefused, verify
from kernel.crypto.signing_keys import SigningKeys

__all__ = ["Signature", "SignatureRefused", "public_keys", "sign", "signing_keys", "verify"]


def sign(document: bytes) -> Signature:
    """Sign a document as the platform. Its first bytes must say what kind of document it is."""
    return signing_keys().sign(document)


def public_keys() -> dict[str, str]:
    """The public keys, the current one and its predecessors, as PEM by their ids."""
    return dict(signing_keys().public)


def signing_keys() -> SigningKeys:
    """The configured keys, read once. Raises `KeyringRefused`: call it at start."""
    return _read(Path(settings.SIGNING_KEY_FILE))


@lru_cache(maxsize=4)
def _read(path: Path) -> SigningKeys:
    return SigningKeys(path)
