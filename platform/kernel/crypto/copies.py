"""Copies of the wrapped keys, apart from the database: a backup of it is opened by the newest of them only.

One line of JSON for each row. Nothing in them opens without the master keys.
"""

import base64
import io
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import models

from kernel.crypto import keys, people
from kernel.crypto.cache import cache
from kernel.crypto.errors import CiphertextAltered, KeyDestroyed, KeyUnavailable
from kernel.crypto.models import OrganizationKey, OwnKey, PersonKey
from kernel.storage.client import bucket, named_faults
from kernel.storage.errors import ObjectMissing
from kernel.tenancy.models import TenantOwned
from kernel.tenancy.scope import across_tenants, acting_for

PREFIX = "keys/"
# In the order in which they open one another.
COPIED: tuple[type[TenantOwned], ...] = (OwnKey, OrganizationKey, PersonKey)
BY_NAME = {model.__name__: model for model in COPIED}


class UnreadableCopy(ValueError):
    """The file holds something else than wrapped keys. The text says where."""


def keep(organization_id: UUID) -> None:
    """Put the organization's wrapped keys into the object store, in place of the copy from before; none stays
    where all of its keys are destroyed.

    Raises `StorageUnavailable`.
    """
    with acting_for(organization_id):
        is_shredded = not OrganizationKey.objects.filter(destroyed_at=None).exists()
    content = "".join(lines_of(organization_id)).encode()
    store, name = bucket(), f"{PREFIX}{organization_id}.jsonl"
    with named_faults():
        if is_shredded:
            store.client.delete_object(Bucket=store.name, Key=name)
        else:
            store.client.put_object(Bucket=store.name, Key=name, Body=io.BytesIO(content))


def kept() -> Iterator[str]:
    """The lines of all copies in the object store. Raises `StorageUnavailable`."""
    store = bucket()
    with named_faults():
        pages = store.client.get_paginator("list_objects_v2").paginate(Bucket=store.name, Prefix=PREFIX)
        names = [found["Key"] for page in pages for found in page.get("Contents", [])]
    for name in names:
        try:
            with named_faults():
                body = store.client.get_object(Bucket=store.name, Key=name)["Body"].read()
        except ObjectMissing:
            continue
        yield from body.decode().splitlines(keepends=True)


def everybodys() -> Iterator[str]:
    """The lines of every organization and of the platform."""
    for organization_id in organizations():
        yield from lines_of(organization_id)


def organizations() -> list[UUID]:
    """All that have a key, the platform among them."""
    with across_tenants():
        ids = OrganizationKey.objects.order_by("organization_id").values_list("organization_id", flat=True)
        return list(ids.distinct())


def lines_of(organization_id: UUID) -> list[str]:
    """The lines of one organization."""
    with acting_for(organization_id):
        return [
            json.dumps({"kind": model.__name__, **_shown(row)}) + "\n"
            for model in COPIED
            for row in model.objects.order_by("pk")
        ]


def restore(lines: Iterable[str]) -> int:
    """Take over the keys of a copy after a backup of the database was restored; answers how many changed.

    A key that was destroyed, here or in the copy, stays so. Where both have a key, the copy's counts only if
    it opens. Raises `UnreadableCopy`, `KeyUnavailable`.
    """
    rows = [_read(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    rows.sort(key=lambda row: COPIED.index(type(row)))
    changed = sum(_restore_row(row) for row in rows)
    cache.forget()
    return changed


def _restore_row(row: TenantOwned) -> bool:
    with acting_for(row.organization_id):
        present = type(row).objects.select_for_update().filter(pk=row.pk).first()
        if present is not None and _shown(present) == _shown(row):
            return False
        if present is not None and getattr(present, "destroyed_at", None) is not None:
            return False
        if not _opens(row):
            return False
        if isinstance(row, OwnKey):
            OwnKey.objects.exclude(pk=row.pk).delete()
        row.save(force_insert=present is None, force_update=present is not None)
    cache.forget(row.organization_id)
    return True


def _opens(row: TenantOwned) -> bool:
    """Whether the row is a tombstone, or holds a key that its master key or its like still opens."""
    try:
        if isinstance(row, OrganizationKey):
            keys.unwrap_row(row)
        elif isinstance(row, PersonKey):
            people.open_key(row, keys.finder(row.organization_id))
    except KeyDestroyed:
        return getattr(row, "destroyed_at", None) is not None
    except (KeyUnavailable, CiphertextAltered):
        return False
    return True


def _shown(row: models.Model) -> dict[str, Any]:
    return {field.attname: _as_text(getattr(row, field.attname)) for field in row._meta.concrete_fields}


def _as_text(value: Any) -> Any:
    match value:
        case bytes() | memoryview() | bytearray():
            return {"base64": base64.b64encode(bytes(value)).decode()}
        case UUID():
            return str(value)
        case datetime():
            return value.isoformat()
        case _:
            return value


def _read(number: int, line: str) -> TenantOwned:
    try:
        values = json.loads(line)
        model = BY_NAME[values.pop("kind")]
        columns = {name: _from_text(value) for name, value in values.items()}
        fields = {field.attname: field for field in model._meta.concrete_fields}
        if columns.keys() != {name for name, field in fields.items() if not field.null or name in columns}:
            raise ValueError("other columns")
        return model(**{name: fields[name].to_python(value) for name, value in columns.items()})
    except (ValueError, KeyError, TypeError, AttributeError, ValidationError) as fault:
        raise UnreadableCopy(f"Line {number} is no wrapped key ({type(fault).__name__}).") from fault


def _from_text(value: Any) -> Any:
    return base64.b64decode(value["base64"], validate=True) if isinstance(value, dict) else value
