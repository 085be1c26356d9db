"""What is streamed of an answer is sealed: under a key of its own, which is sealed as columns are.

The key of an answer is kept with its stream, under the key of the person who asked. So whoever reads Valkey
alone reads no answer, and none can be read once that person's key, or the organization's, is destroyed.
"""

from dataclasses import dataclass, field
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kernel.crypto.errors import CiphertextAltered
from kernel.crypto.fields import open_sealed, seal
from kernel.crypto.keyfile import random_key
from kernel.crypto.values import KEY_BYTES, NONCE_BYTES

_PURPOSE = "chat.answer.stream"


@dataclass(frozen=True)
class AnswerKey:
    """The key of one answer's stream: 32 bytes, used for this answer's pieces only."""

    secret: bytes = field(repr=False)

    def seal(self, seq: int, text: str) -> bytes:
        """The text of piece `seq`; 16 bytes are added. Each number is sealed once: it is the nonce."""
        return AESGCM(self.secret).encrypt(_nonce(seq), text.encode(), None)

    def open(self, seq: int, sealed: bytes) -> str:
        """The text that was sealed as piece `seq`. Raises `CiphertextAltered`."""
        try:
            return AESGCM(self.secret).decrypt(_nonce(seq), sealed, None).decode()
        except InvalidTag:
            raise CiphertextAltered from None


def new_key() -> AnswerKey:
    """The key of an answer to come."""
    return AnswerKey(random_key(KEY_BYTES))


def wrapped(key: AnswerKey, organization_id: UUID, message_id: UUID, person: UUID | None) -> bytes:
    """The key as it is kept beside the stream. Raises `KeyDestroyed`, `KeyUnavailable`."""
    return seal(organization_id, key.secret, purpose=_PURPOSE, row_id=message_id, person=person)


def unwrapped(kept: bytes, organization_id: UUID, message_id: UUID) -> AnswerKey:
    """The key that was wrapped. Raises `CiphertextAltered`, `KeyDestroyed`, `KeyUnavailable`."""
    return AnswerKey(open_sealed(organization_id, kept, purpose=_PURPOSE, row_id=message_id))


def _nonce(seq: int) -> bytes:
    return seq.to_bytes(NONCE_BYTES)
