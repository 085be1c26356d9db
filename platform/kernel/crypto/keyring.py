"""Who keeps the master keys: the interface of key providers, and the local key file for one machine.

An organization's key-encryption key is stored wrapped (encrypted) by a provider. AWS KMS and Vault transit
fit the same interface: both take a context and answer with the id of the master key they used.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from uuid import UUID

from kernel.crypto import keyfile
from kernel.crypto.errors import CiphertextAltered, KeyringRefused, KeyUnavailable
from kernel.crypto.values import KEY_BYTES, KeyEncryptionKey, open_value, seal_value
from kernel.ids import uuid7

FILE_FORMAT = 1
LOCAL = "local"


@dataclass(frozen=True)
class WrappedKey:
    """A key encrypted by a provider's master key; `provider_key_id` says whose and which."""

    provider_key_id: str
    ciphertext: bytes


class KeyProvider(Protocol):
    """Keeps master keys and never gives them away.

    `context` is authenticated, not secret: unwrapping with another one fails. It is a mapping of strings
    because AWS KMS and Vault can log it and write policies on it.
    """

    def wrap(self, key: bytes, context: Mapping[str, str]) -> WrappedKey:
        """Encrypt `key` with the primary master key. Raises `KeyUnavailable`."""
        ...

    def unwrap(self, wrapped: WrappedKey, context: Mapping[str, str]) -> bytes:
        """The key. Raises `CiphertextAltered` (altered, or another context), `KeyUnavailable`."""
        ...


class LocalKeyFile:
    """Master keys in a JSON file that only its owner can read.

    `{"format": 1, "primary": id, "keys": {id: {"key": base64 of 32 bytes, "created_at": RFC 3339}}}`.
    New keys are wrapped by the primary; the others still unwrap what they wrapped.
    """

    def __init__(self, path: Path) -> None:
        """Read the file. Raises `KeyringRefused` if it is absent, readable by others or damaged."""
        self._primary, self._keys = _parse(path, keyfile.read_private(path))

    @property
    def primary_key_id(self) -> str:
        """The provider key id that new keys are wrapped by."""
        return f"{LOCAL}:{self._primary}"

    def wrap(self, key: bytes, context: Mapping[str, str]) -> WrappedKey:
        sealed = seal_value(self._keys[self._primary], key, _canonical(context))
        return WrappedKey(self.primary_key_id, sealed)

    def unwrap(self, wrapped: WrappedKey, context: Mapping[str, str]) -> bytes:
        provider, _, name = wrapped.provider_key_id.partition(":")
        try:
            master = self._keys[UUID(name)] if provider == LOCAL else None
        except (KeyError, ValueError):
            master = None
        if master is None:
            raise KeyUnavailable(f"The keyring has no master key '{wrapped.provider_key_id}'.")
        return open_value(lambda key_id: _only(master, key_id), wrapped.ciphertext, _canonical(context))


def create_local_keyring(path: Path) -> None:
    """Make a keyring with one fresh master key, mode 0600, whole or not at all.

    Raises `FileExistsError` when there is a file already: a keyring is never overwritten.
    """
    keyfile.publish_private(path, _render(*_with_new_primary({})), replace=False)


def add_primary_key(path: Path) -> str:
    """Add a master key and make it the primary; the older ones stay to unwrap. Answers its provider id.

    Raises `KeyringRefused` like `LocalKeyFile`. Run by one person at a time; processes see it on restart.
    """
    document = json.loads(keyfile.read_private(path))
    _parse(path, json.dumps(document).encode())
    primary, keys = _with_new_primary(document["keys"])
    keyfile.publish_private(path, _render(primary, keys), replace=True)
    return f"{LOCAL}:{primary}"


def _only(master: KeyEncryptionKey, key_id: UUID) -> KeyEncryptionKey:
    if key_id != master.key_id:
        raise CiphertextAltered
    return master


def _canonical(context: Mapping[str, str]) -> bytes:
    return json.dumps(dict(context), sort_keys=True, separators=(",", ":")).encode()


def _with_new_primary(keys: Mapping[str, Mapping[str, str]]) -> tuple[str, dict[str, Mapping[str, str]]]:
    name = str(uuid7())
    entry = {
        "key": base64.b64encode(keyfile.random_key(KEY_BYTES)).decode(),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return name, {**keys, name: entry}


def _render(primary: str, keys: Mapping[str, Mapping[str, str]]) -> bytes:
    document = {"format": FILE_FORMAT, "primary": primary, "keys": keys}
    return json.dumps(document, indent=2).encode() + b"\n"


def _parse(path: Path, content: bytes) -> tuple[UUID, dict[UUID, KeyEncryptionKey]]:
    try:
        document = json.loads(content)
        if document["format"] != FILE_FORMAT:
            raise ValueError("unknown format")
        primary = UUID(document["primary"])
        keys = {UUID(name): _master(UUID(name), entry["key"]) for name, entry in document["keys"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise KeyringRefused(f"The keyring {path} is damaged ({fault}). Restore it from a backup.") from None
    if primary not in keys:
        raise KeyringRefused(f"The keyring {path} lacks its primary key. Restore it from a backup.")
    return primary, keys


def _master(name: UUID, text: str) -> KeyEncryptionKey:
    secret = base64.b64decode(text, validate=True)
    if len(secret) != KEY_BYTES:
        raise ValueError(f"key {name} has not {KEY_BYTES} bytes")
    return KeyEncryptionKey(name, secret)
