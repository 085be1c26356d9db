"""An organization's cache secret: made from its encryption key, sealed for the gateways, split into two keys.

The control plane makes it and publishes it sealed; only who has the pepper of the API keys opens it. So
whoever reads Valkey alone reads no answer and cannot tell what was asked.
"""

from dataclasses import dataclass, field
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kernel.crypto.values import KEY_BYTES, KeyEncryptionKey, bind, key_id_of, open_value, seal_value

_SEALING = b"loomworks cache sealing 1"
_SEALING_ID = b"loomworks cache sealing id 1"
_SECRET = b"loomworks cache secret 1"
_LOOKUP = b"loomworks cache lookup 1"
_ENTRIES = b"loomworks cache entries 1"


@dataclass(frozen=True)
class CacheKeys:
    """What one organization's entries are found (`lookup`, 32 bytes) and opened with."""

    lookup: bytes = field(repr=False)
    cipher: AESGCM = field(repr=False)


def secret_of(key: KeyEncryptionKey, organization_id: UUID, generation: int) -> bytes:
    """The 32 secret bytes that follow from an organization's key-encryption key and a generation.

    They cannot be made again once that key is destroyed, and are others after each clearing and rotation.
    """
    return derived(key.secret, _SECRET + bind("cache", organization_id, str(generation)))


def sealing_key(pepper: bytes) -> KeyEncryptionKey:
    """The key under which secrets are published, from the pepper of the API keys (RFC 5869)."""
    return KeyEncryptionKey(UUID(bytes=derived(pepper, _SEALING_ID)[:16]), derived(pepper, _SEALING))


def seal_secret(key: KeyEncryptionKey, secret: bytes, organization_id: UUID, generation: int) -> bytes:
    """The secret for publication; it opens for the same organization and generation only."""
    return seal_value(key, secret, _place(organization_id, generation))


def open_secret(key: KeyEncryptionKey, sealed: bytes, organization_id: UUID, generation: int) -> bytes:
    """The secret that was sealed. Raises `CiphertextAltered`."""
    # Sealed under another pepper, it names another key, and fails like anything that was altered.
    return open_value(lambda _: key, sealed, _place(organization_id, generation))


def keys_of(secret: bytes) -> CacheKeys:
    """The two keys that follow from a secret."""
    return CacheKeys(derived(secret, _LOOKUP), AESGCM(derived(secret, _ENTRIES)))


def is_sealed_by(key: KeyEncryptionKey, sealed: bytes) -> bool:
    """Whether a published secret names this sealing key. Raises `CiphertextAltered`."""
    return key_id_of(sealed) == key.key_id


def derived(secret: bytes, label: bytes) -> bytes:
    """32 bytes that follow from a secret, others for each label (RFC 5869)."""
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=label).derive(secret)


def _place(organization_id: UUID, generation: int) -> bytes:
    return bind("cache secret", organization_id, str(generation))
