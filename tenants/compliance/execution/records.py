"""Rows as a copy for people shows them: ids, times and texts in the open, secrets withheld."""

import base64
from collections.abc import Iterator
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from django.db import models

from kernel.crypto.columns import Opened, SealedColumn
from kernel.crypto.errors import KeyDestroyed
from kernel.ports.holdings import Holding

# What is shown in place of something whose key was destroyed: it cannot be read by anybody.
ERASED = None


def line_of(row: models.Model, holding: Holding) -> bytes:
    """A row as one line of JSON."""
    shown = dict(_fields_of(row, holding.withheld))
    return orjson.dumps(shown, default=_plain) + b"\n"


def _fields_of(row: models.Model, withheld: frozenset[str]) -> Iterator[tuple[str, Any]]:
    for field in row._meta.concrete_fields:
        if field.name in withheld or field.attname in withheld:
            continue
        if isinstance(field, SealedColumn):
            name = _opened_columns(type(row)).get(field.name)
            if name is not None:
                yield name, _opened(row, name)
        else:
            yield field.attname, getattr(row, field.attname)


@lru_cache(maxsize=256)
def _opened_columns(model: type[models.Model]) -> dict[str, str]:
    """Under which name the code reads each sealed column in clear."""
    return {
        value.column: name
        for kind in model.__mro__
        for name, value in vars(kind).items()
        if isinstance(value, Opened)
    }


def _opened(row: models.Model, name: str) -> Any:
    try:
        return getattr(row, name)
    except KeyDestroyed:
        return ERASED


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, UUID | datetime | date):
        return str(value)
    return str(value)
