"""The Ed25519 keys that sign, in a file that only its owner can read.

`{"format": 1, "current": id, "keys": {id: {"private_key": base64 of 32 bytes or null, "public_key": PEM,
"created_at": RFC 3339}}}`. The current key signs. Of the others only the public half is left: what they
signed stays verifiable, and nothing more can be signed with them.
"""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kernel.crypto import keyfile
from kernel.crypto.errors import KeyringRefused
from kernel.crypto.signatures import Signature, key_id_of, pem_of, public_key

FILE_FORMAT = 1
SEED_BYTES = 32


class SigningKeys:
    """The keys of one file."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises `KeyringRefused` if it is absent, readable by others or damaged."""
        self.current, self._private, self.public = _parse(path, keyfile.read_private(path))

    def sign(self, document: bytes) -> Signature:
        """The current key's signature."""
        return Signature(self.current, self._private.sign(document))


def create_signing_keys(path: Path) -> None:
    """Make a file with one fresh key, mode 0600, whole or not at all.

    Raises `FileExistsError` when there is a file already: it is never overwritten.
    """
    keyfile.publish_private(path, _with_new_current({}), replace=False)


def rotate_signing_key(path: Path) -> str:
    """Make a fresh key the current one and forget the private half of the last; answers the new key's id.

    Raises `KeyringRefused` like `SigningKeys`. Run by one person at a time; processes see it on restart.
    """
    content = keyfile.read_private(path)
    _parse(path, content)
    keys = json.loads(content)["keys"]
    retired = {name: {**entry, "private_key": None} for name, entry in keys.items()}
    keyfile.publish_private(path, _with_new_current(retired), replace=True)
    return SigningKeys(path).current


def _with_new_current(keys: Mapping[str, Mapping[str, Any]]) -> bytes:
    seed = keyfile.random_key(SEED_BYTES)
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    name = key_id_of(public)
    entry = {
        "private_key": base64.b64encode(seed).decode(),
        "public_key": pem_of(public),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    document = {"format": FILE_FORMAT, "current": name, "keys": {**keys, name: entry}}
    return json.dumps(document, indent=2).encode() + b"\n"


def _parse(path: Path, content: bytes) -> tuple[str, Ed25519PrivateKey, dict[str, str]]:
    try:
        document = json.loads(content)
        if document["format"] != FILE_FORMAT:
            raise ValueError("unknown format")
        current: str = document["current"]
        public = {name: _checked(name, entry["public_key"]) for name, entry in document["keys"].items()}
        seed = base64.b64decode(document["keys"][current]["private_key"], validate=True)
        private = Ed25519PrivateKey.from_private_bytes(seed)
        if key_id_of(private.public_key()) != current:
            raise ValueError("the private key is another one than the public key")
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        # Nothing of the content is said: it is secret.
        kind = type(fault).__name__
        raise KeyringRefused(
            f"The signing keys {path} are damaged ({kind}). Restore the file from a backup."
        ) from None
    return current, private, public


def _checked(name: str, pem: str) -> str:
    if key_id_of(public_key(pem)) != name:
        raise ValueError("a public key is not the one that it is called")
    return pem
