"""A policy on its way to the gateways: sealed, since it has an organization's own texts.

The key follows from the pepper of the API keys, so whoever reads Valkey alone reads no policy.
"""

from uuid import UUID

import orjson

from inference.gateway.cache.secret import derived
from inference.gateway.policy.document import Policy, read_policy
from kernel.crypto.values import KeyEncryptionKey, bind, open_value, seal_value

_SEALING = b"loomworks policy sealing 1"
_SEALING_ID = b"loomworks policy sealing id 1"


def policy_key(pepper: bytes) -> KeyEncryptionKey:
    """The key under which policies are published."""
    return KeyEncryptionKey(UUID(bytes=derived(pepper, _SEALING_ID)[:16]), derived(pepper, _SEALING))


def seal_policy(key: KeyEncryptionKey, document: bytes, organization_id: UUID, deployment_id: UUID) -> bytes:
    """The document, in JSON, for publication; it opens for the same organization and deployment only."""
    return seal_value(key, document, _place(organization_id, deployment_id))


def open_policy(key: KeyEncryptionKey, sealed: bytes, organization_id: UUID, deployment_id: UUID) -> Policy:
    """The policy that was sealed.

    Raises `CiphertextAltered`, `ValueError` for what is no JSON, `InvalidRequest` for what is no policy.
    """
    document = open_value(lambda _: key, sealed, _place(organization_id, deployment_id))
    return read_policy(orjson.loads(document))


def _place(organization_id: UUID, deployment_id: UUID) -> bytes:
    return bind("deployment policy", organization_id, str(deployment_id))
