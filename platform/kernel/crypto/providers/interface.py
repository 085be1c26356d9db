"""Who keeps master keys: what every key provider can do."""

import json
from collections.abc import Mapping
from typing import Protocol

Context = Mapping[str, str]
"""Authenticated, not secret: a key does not unwrap with another one. AWS KMS and Vault log it."""


class KeyProvider(Protocol):
    """Keeps master keys ("roots") and never gives them away.

    A root is named by an id that begins with the provider's scheme (`local:…`, `aws-kms:…`, `vault:…`). Every
    method raises `KeyUnavailable` where the provider does not answer, `KeyRefused` where it says no.
    """

    def make_root(self, name: str) -> str:
        """A root of this name, made unless it is there; answers its id."""
        ...

    def destroy_root(self, root: str) -> None:
        """Make what the root wraps unreadable for ever. That it is gone already is no fault."""
        ...

    def wrap(self, root: str, key: bytes, context: Context) -> bytes:
        """The key, encrypted by the root."""
        ...

    def unwrap(self, root: str, wrapped: bytes, context: Context) -> bytes:
        """The key. Raises `CiphertextAltered` too: altered, or another context."""
        ...


def canonical(context: Context) -> bytes:
    """The context as bytes, the same for the same context."""
    return json.dumps(dict(context), sort_keys=True, separators=(",", ":")).encode()


def named(root: str) -> str:
    """What the provider itself calls the root: its id without the scheme."""
    return root.partition(":")[2]
