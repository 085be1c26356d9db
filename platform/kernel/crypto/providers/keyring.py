"""Master keys in a file on one machine.

`{"format": 2, "roots": {name: {"key": base64 of 32 bytes, "key_id": UUID, "created_at": RFC 3339}}}`.
Format 1, which had one master key for every organization, is read as it was: its keys are roots of many.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import UUID

from kernel.crypto import keyfile
from kernel.crypto.errors import CiphertextAltered, KeyRefused, KeyringRefused, KeyUnavailable
from kernel.crypto.providers.interface import Context, canonical, named
from kernel.crypto.values import KEY_BYTES, KeyEncryptionKey, open_value, seal_value
from kernel.ids import uuid7

FORMAT = 2
SCHEME = "local"


@dataclass(frozen=True)
class Root:
    """One master key."""

    key: KeyEncryptionKey
    created_at: str


Roots = dict[str, Root]


class LocalKeyFile:
    """The key provider that `KEYRING_FILE` is: read again whenever another process changed the file."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises `KeyringRefused` if it is absent, readable by others or damaged."""
        self._path = path
        self._lock = Lock()
        self._stamp = keyfile.stamp_of(path)
        self._roots = _parse(path, keyfile.read_private(path))

    def make_root(self, name: str) -> str:
        with self._changing() as roots:
            if name not in roots:
                secret = keyfile.random_key(KEY_BYTES)
                made = datetime.now(UTC).isoformat(timespec="seconds")
                roots[name] = Root(KeyEncryptionKey(uuid7(), secret), made)
        return f"{SCHEME}:{name}"

    def destroy_root(self, root: str) -> None:
        with self._changing() as roots:
            roots.pop(named(root), None)

    def wrap(self, root: str, key: bytes, context: Context) -> bytes:
        return seal_value(self._key(root), key, canonical(context))

    def unwrap(self, root: str, wrapped: bytes, context: Context) -> bytes:
        master = self._key(root)
        return open_value(lambda key_id: _only(master, key_id), wrapped, canonical(context))

    def _key(self, root: str) -> KeyEncryptionKey:
        found = self._present().get(named(root))
        if found is None:
            raise KeyRefused(f"The keyring has no master key '{root}'.")
        return found.key

    def _present(self) -> Roots:
        with self._lock:
            stamp = keyfile.stamp_of(self._path)
            if stamp != self._stamp:
                self._roots, self._stamp = self._read(), stamp
            return self._roots

    def _read(self) -> Roots:
        try:
            return _parse(self._path, keyfile.read_private(self._path))
        except KeyringRefused as fault:
            raise KeyUnavailable(str(fault)) from fault

    @contextmanager
    def _changing(self) -> Iterator[Roots]:
        with keyfile.alone_with(self._path):
            before = self._read()
            roots = dict(before)
            yield roots
            if roots != before:
                keyfile.publish_private(self._path, _render(roots), replace=True)


def create_local_keyring(path: Path) -> None:
    """Make an empty keyring, mode 0600, whole or not at all.

    Raises `FileExistsError` when there is a file already: a keyring is never overwritten.
    """
    keyfile.publish_private(path, _render({}), replace=False)


def _only(master: KeyEncryptionKey, key_id: UUID) -> KeyEncryptionKey:
    if key_id != master.key_id:
        raise CiphertextAltered
    return master


def _render(roots: Roots) -> bytes:
    entries = {
        name: {
            "key_id": str(root.key.key_id),
            "key": base64.b64encode(root.key.secret).decode(),
            "created_at": root.created_at,
        }
        for name, root in roots.items()
    }
    return json.dumps({"format": FORMAT, "roots": entries}, indent=2).encode() + b"\n"


def _parse(path: Path, content: bytes) -> Roots:
    try:
        return _roots(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise KeyringRefused(f"The keyring {path} is damaged ({fault}). Restore it from a backup.") from None


def _roots(document: Mapping[str, Any]) -> Roots:
    if document["format"] == 1:
        return {name: _root(name, entry) for name, entry in document["keys"].items()}
    if document["format"] != FORMAT:
        raise ValueError("unknown format")
    return {name: _root(entry["key_id"], entry) for name, entry in document["roots"].items()}


def _root(key_id: str, entry: Mapping[str, str]) -> Root:
    secret = base64.b64decode(entry["key"], validate=True)
    if len(secret) != KEY_BYTES:
        raise ValueError(f"key {key_id} has not {KEY_BYTES} bytes")
    return Root(KeyEncryptionKey(UUID(key_id), secret), entry.get("created_at", ""))
