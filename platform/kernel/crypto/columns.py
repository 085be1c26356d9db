"""Database columns that hold secrets or content: sealed under the organization's key, or under a person's.

    sealed_content = SealedColumn(purpose="chat.message.content", person="conversation.created_by_id")
    content = OpenedText("sealed_content")

The first is what the database keeps, the second what the code reads and writes. Since each column says what
it is, whoever re-encrypts, exports or erases finds them all (`sealed_columns`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

from django.apps import apps
from django.db import models

from kernel.crypto.errors import KeyDestroyed
from kernel.crypto.fields import open_sealed, seal
from kernel.tenancy.models import TenantOwned

T = TypeVar("T", str, bytes)


class SealedColumn(models.BinaryField):  # type: ignore[type-arg]
    """Ciphertext of one value; empty, or null where that is allowed, stands for no value.

    `purpose` names the column for ever: it is part of what the ciphertext is bound to. `person` is the path
    from the row to the id of the person whose own key seals it (`"conversation.created_by_id"`); without one,
    and where it leads to nobody, the organization's key does.
    """

    def __init__(self, *args: Any, purpose: str = "", person: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.purpose = purpose
        self.person = person

    def deconstruct(self) -> Any:
        """For migrations, a binary column: how it is filled is no matter of the schema."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.BinaryField", args, kwargs

    def person_of(self, row: models.Model) -> UUID | None:
        """Whose key seals the row's value."""
        return attrgetter(self.person)(row) if self.person else None

    def sealed(self, row: TenantOwned, plaintext: bytes) -> bytes:
        """The value as the column keeps it. Raises `KeyDestroyed`, `KeyUnavailable`."""
        return seal(
            row.organization_id, plaintext, purpose=self.purpose, row_id=row.pk, person=self.person_of(row)
        )

    def opened(self, row: TenantOwned) -> bytes | None:
        """The row's value in clear, if there is one.

        Raises `CiphertextAltered`, `KeyDestroyed`, `KeyUnavailable`.
        """
        kept: bytes | memoryview | None = getattr(row, self.attname)
        if not kept:
            return None
        return open_sealed(row.organization_id, kept, purpose=self.purpose, row_id=row.pk)

    def resealed(self, row: TenantOwned) -> bytes:
        """The row's value under the key that seals it now: the person's own, or the organization's where that
        was destroyed. Raises `CiphertextAltered`, `KeyDestroyed`, `KeyUnavailable`.
        """
        plaintext = self.opened(row) or b""
        try:
            return self.sealed(row, plaintext)
        except KeyDestroyed:
            return seal(row.organization_id, plaintext, purpose=self.purpose, row_id=row.pk)


class Opened(property, Generic[T]):
    """A sealed column's value in clear; no value reads as an empty one, and an empty one is kept as none.

    A property, so that Django takes the value as a keyword of the model's constructor.
    """

    def __init__(self, column: str) -> None:
        super().__init__(self._read, self._write)
        self.column = column

    if TYPE_CHECKING:

        def __get__(self, row: Any, owner: type | None = None, /) -> T: ...  # type: ignore[override]

        def __set__(self, row: Any, value: T, /) -> None: ...

    def _read(self, row: TenantOwned) -> T:
        return self.decoded(self._field(row).opened(row) or b"")

    def _write(self, row: TenantOwned, value: T) -> None:
        field = self._field(row)
        nothing = None if field.null else b""
        setattr(row, self.column, field.sealed(row, self.encoded(value)) if value else nothing)

    def _field(self, row: TenantOwned) -> SealedColumn:
        field = row._meta.get_field(self.column)
        assert isinstance(field, SealedColumn)
        return field

    def decoded(self, raw: bytes) -> T:
        """The value of these bytes."""
        raise NotImplementedError

    def encoded(self, value: T) -> bytes:
        """The bytes of this value."""
        raise NotImplementedError


class OpenedText(Opened[str]):
    """Text, kept as UTF-8."""

    def decoded(self, raw: bytes) -> str:
        return raw.decode()

    def encoded(self, value: str) -> bytes:
        return value.encode()


class OpenedBytes(Opened[bytes]):
    """Bytes as they are."""

    def decoded(self, raw: bytes) -> bytes:
        return raw

    def encoded(self, value: bytes) -> bytes:
        return value


@dataclass(frozen=True)
class Place:
    """One sealed column of one table."""

    model: type[TenantOwned]
    column: SealedColumn


def sealed_columns() -> Iterator[Place]:
    """Every sealed column of every organization's table."""
    for model in apps.get_models():
        if issubclass(model, TenantOwned):
            yield from (
                Place(model, field) for field in model._meta.fields if isinstance(field, SealedColumn)
            )
