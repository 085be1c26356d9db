"""Sealing of single values that are kept in the database: what `kernel.crypto.columns` stands on."""

from uuid import UUID

from kernel.crypto import keys
from kernel.crypto.values import bind, open_value, seal_value


def seal(
    organization_id: UUID, plaintext: bytes, *, purpose: str, row_id: UUID, person: UUID | None = None
) -> bytes:
    """Encrypt a column's value, under the person's own key if one is named; 58 bytes are added.

    `purpose` names the column for ever ("chat.message.content"); `row_id` is the row's primary key. A value
    moved to another column, row or organization does not open. Raises `KeyDestroyed`, `KeyUnavailable`.
    """
    place = _place(organization_id, purpose, row_id)
    return seal_value(keys.key_for(organization_id, person), plaintext, place)


def open_sealed(organization_id: UUID, sealed: bytes | memoryview, *, purpose: str, row_id: UUID) -> bytes:
    """The plaintext of a sealed column. Raises `CiphertextAltered`, `KeyDestroyed`, `KeyUnavailable`."""
    place = _place(organization_id, purpose, row_id)
    return open_value(keys.finder(organization_id), bytes(sealed), place)


def _place(organization_id: UUID, purpose: str, row_id: UUID) -> bytes:
    return bind(f"field:{purpose}", organization_id, str(row_id))
