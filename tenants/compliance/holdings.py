"""Every table that holds something of an organization: found by its declaration, known by no name."""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db import connection, models
from django.db.models import Q
from django.db.models.deletion import Collector

from kernel.ports.erasure import Beat, Subject
from kernel.ports.holdings import Holding
from kernel.storage import objects
from kernel.tenancy.models import TenantOwned
from kernel.tenancy.scope import acting_for
from tenants.access.models import User
from tenants.organizations.services.erasure import models_in_order

BATCH = 200

Model = type[TenantOwned]


def tables() -> list[Model]:
    """All of them, by their kinds."""
    found = [m for m in apps.get_models() if issubclass(m, TenantOwned) and not m._meta.proxy]
    return sorted(found, key=lambda model: model.holding.kind)


def tables_in_order() -> list[Model]:
    """Those from which people's rows go, the ones that point at others first."""
    return [model for model in models_in_order() if model.holding.person or model.holding.address]


def address_of(person: UUID) -> tuple[str, ...]:
    """The person's e-mail address, as `Holding.about` takes it."""
    return tuple(User.objects.filter(pk=person).values_list("email", flat=True))


def still_about(model: Model, subject: Subject) -> Q:
    """The rows about the subject in which something is left to do."""
    about = model.holding.about(subject.person, subject.addresses)
    plain = [name for name in model.holding.cleared if not _holds_several(model, name)]
    if not plain:
        return about
    left = Q(pk__in=())
    for name in plain:
        left |= Q(**{f"{name}__isnull": False}) if model._meta.get_field(name).null else ~Q(**{name: ""})
    return about & left


def batches(organization_id: UUID, model: Model, which: Q, beat: Beat) -> Iterator[list[Any]]:
    """The rows of a table in order of their ids, each batch read in a scope of its own."""
    after = UUID(int=0)
    while True:
        beat()
        with acting_for(organization_id):
            rows = list(model.objects.filter(which, pk__gt=after).order_by("pk")[:BATCH])
        if not rows:
            return
        yield rows
        after = rows[-1].pk


def object_keys(row: models.Model) -> list[str]:
    """The keys of a row's stored objects."""
    holding: Holding | None = getattr(row, "holding", None)
    return [key for name in (holding.objects if holding else ()) if (key := getattr(row, name))]


def remove(organization_id: UUID, rows: Sequence[TenantOwned]) -> int:
    """Delete rows of one table with what hangs on them, objects first; answers how many of the table went.

    A crash in between leaves rows without objects, and the next call goes on. Raises `ProtectedError` where
    something else still points at a row, `StorageUnavailable`.
    """
    model = type(rows[0])
    with acting_for(organization_id):
        collector = Collector(using=connection.alias)
        collector.collect(list(rows))
        keys = [key for row in _collected(collector) for key in object_keys(row)]
    for key in keys:
        objects.delete(organization_id, key)
    with acting_for(organization_id):
        _, by_table = model.objects.filter(pk__in=[row.pk for row in rows]).delete()
    return by_table.get(model._meta.label, 0)


def clear(model: Model, which: Q, addresses: Sequence[str]) -> int:
    """Empty the columns that name a person, in the current organization; answers in how many rows."""
    rows = model.objects.filter(which)
    plain = {}
    for name in model.holding.cleared:
        if _holds_several(model, name):
            _take_out(rows, name, addresses)
        else:
            plain[name] = None if model._meta.get_field(name).null else ""
    return rows.update(**plain) if plain else 0


def _holds_several(model: Model, name: str) -> bool:
    return isinstance(model._meta.get_field(name), ArrayField)


def _take_out(rows: Any, name: str, addresses: Sequence[str]) -> None:
    for row in rows:
        setattr(row, name, [value for value in getattr(row, name) if value not in addresses])
        row.save(update_fields=[name])


def _collected(collector: Collector) -> Iterator[models.Model]:
    for instances in collector.data.values():
        yield from instances
    for queryset in collector.fast_deletes:
        yield from queryset
