"""Ed25519 signatures over documents: what they are, and how anybody checks them with the public keys alone.

A document says in its first bytes what it is, so that no signature can pass for one of another kind. It is
signed as it is (RFC 8032), so that `openssl pkeyutl -verify -rawin` checks it too. A key is known by its id:
the first 16 bytes of the SHA-256 of its DER-encoded SubjectPublicKeyInfo, in hexadecimal digits.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

PEM_BLOCK = re.compile(r"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)


class SignatureRefused(ValueError):
    """The document was not signed by one of these keys; the text says why."""


@dataclass(frozen=True)
class Signature:
    """Whose it is, and its 64 bytes."""

    key_id: str
    value: bytes


def verify(document: bytes, signature: Signature, public_keys: Mapping[str, str]) -> None:
    """Return if the key that the signature names made it; `public_keys` are PEM texts by key id.

    Raises `SignatureRefused`, also for a key that is not among these.
    """
    pem = public_keys.get(signature.key_id)
    if pem is None:
        raise SignatureRefused(
            f"It was signed by the key {signature.key_id}, which is not among those given."
        )
    key = public_key(pem)
    if key_id_of(key) != signature.key_id:
        raise SignatureRefused(f"The key given as {signature.key_id} is another one.")
    try:
        key.verify(signature.value, document)
    except InvalidSignature:
        raise SignatureRefused(f"The signature is not that of the key {signature.key_id}.") from None


def read_public_keys(text: str) -> dict[str, str]:
    """The public keys of a text that holds one or more in PEM, by their ids. Raises `ValueError`."""
    blocks = [f"{block}\n" for block in PEM_BLOCK.findall(text)]
    if not blocks:
        raise ValueError("There is no public key in PEM.")
    return {key_id_of(public_key(block)): block for block in blocks}


def public_key(pem: str) -> Ed25519PublicKey:
    """The key of a PEM text. Raises `ValueError` for anything but an Ed25519 public key."""
    try:
        key = load_pem_public_key(pem.encode())
    except UnsupportedAlgorithm:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("It is not an Ed25519 key.")
    return key


def pem_of(key: Ed25519PublicKey) -> str:
    """The key as PEM text."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def key_id_of(key: Ed25519PublicKey) -> str:
    """The id by which signatures name the key."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return sha256(der).hexdigest()[:32]
