"""The base of every row that belongs to an organization."""

from collections.abc import Iterable
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from django.db import models

from kernel.ids import uuid7
from kernel.ports.holdings import Holding
from kernel.tenancy.scope import ForeignRow, current_scope

T = TypeVar("T", bound="TenantOwned")


class TenantQuerySet(models.QuerySet[T]):
    """A queryset whose bulk writes are stamped with the current organization too."""

    def bulk_create(self, objs: Iterable[T], *args: Any, **kwargs: Any) -> list[T]:
        rows = list(objs)
        for row in rows:
            row.stamp()
        return super().bulk_create(rows, *args, **kwargs)


class TenantManager(models.Manager[T]):
    """Sees the current organization's rows only; raises `NoTenant` where there is no organization."""

    def get_queryset(self) -> TenantQuerySet[T]:
        queryset: TenantQuerySet[T] = TenantQuerySet(self.model, using=self._db)
        scope = current_scope()
        if scope.crosses_tenants:
            return queryset
        return queryset.filter(organization_id=scope.organization_id)


class TenantOwned(models.Model):
    """A row of one organization. `id` is a UUIDv7 made by the application.

    Every model says by `holding` how it is exported, erased and kept.
    """

    holding: ClassVar[Holding]

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization_id = models.UUIDField(editable=False)

    objects: ClassVar[TenantManager[Any]] = TenantManager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.stamp()
        super().save(*args, **kwargs)

    def stamp(self) -> None:
        """Take the current organization; refuse to be another's. Raises `NoTenant`, `ForeignRow`."""
        scope = current_scope()
        owner: UUID | None = self.organization_id
        if owner is None and scope.organization_id is not None:
            self.organization_id = scope.organization_id
        elif owner is None:
            raise ForeignRow("A row written across tenants must name its organization.")
        elif not scope.crosses_tenants and owner != scope.organization_id:
            raise ForeignRow("The row belongs to another organization.")
