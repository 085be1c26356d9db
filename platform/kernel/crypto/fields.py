"""Sealing of database columns that hold secrets or content."""

from uuid import UUID

from kernel.crypto import keys
from kernel.crypto.values import bind, open_value, seal_value


def seal(organization_id: UUID, plaintext: bytes, *, purpose: str, row_id: UUID) -> bytes:
    """Encrypt a column's value for a `BinaryField`; it is 58 bytes longer than the plaintext.

    `purpose` names the column for ever ("chat.message.content"); `row_id` is the row's primary key. A value
    moved to another column, row or organization does not open. Raises `KeyDestroyed`, `KeyUnavailable`.
    """
    return seal_value(keys.key_for(organization_id), plaintext, _place(organization_id, purpose, row_id))


def open_sealed(organization_id: UUID, sealed: bytes | memoryview, *, purpose: str, row_id: UUID) -> bytes:
    """The plaintext of a sealed column. Raises `CiphertextAltered`, `KeyDestroyed`, `KeyUnavailable`."""
    place = _place(organization_id, purpose, row_id)
    return open_value(keys.finder(organization_id), bytes(sealed), place)


def seal_text(organization_id: UUID, text: str, *, purpose: str, row_id: UUID) -> bytes:
    """`seal` for text, as UTF-8."""
    return seal(organization_id, text.encode(), purpose=purpose, row_id=row_id)


def open_text(organization_id: UUID, sealed: bytes | memoryview, *, purpose: str, row_id: UUID) -> str:
    """`open_sealed` for text."""
    return open_sealed(organization_id, sealed, purpose=purpose, row_id=row_id).decode()


def _place(organization_id: UUID, purpose: str, row_id: UUID) -> bytes:
    return bind(f"field:{purpose}", organization_id, str(row_id))
