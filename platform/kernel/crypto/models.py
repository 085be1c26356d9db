"""The wrapped keys of organizations and of the people in them."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from kernel.ports.holdings import Erasure, Holding, of_nobody
from kernel.tenancy.models import TenantOwned


class OrganizationKey(TenantOwned):
    """One version of an organization's key-encryption key, wrapped by a key provider.

    The highest version seals; the older ones open what they sealed. Destroying a key empties it and keeps
    the row as a tombstone, so that nobody mistakes a shredded organization for a new one.
    """

    holding: ClassVar[Holding] = of_nobody("keys", withheld=frozenset({"wrapped_key"}))

    version = models.PositiveIntegerField()
    wrapped_key = models.BinaryField()
    provider_key_id = models.CharField(max_length=512)
    created_at = models.DateTimeField(db_default=Now())
    destroyed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "version"], name="crypto_key_version"),
            models.CheckConstraint(
                condition=Q(destroyed_at__isnull=True) ^ Q(wrapped_key=b""), name="crypto_destroyed_is_empty"
            ),
        ]


class PersonKey(TenantOwned):
    """The key of one person in one organization, sealed under the organization's: it protects what is about
    them alone, so that destroying it erases that everywhere. Destroying empties it and keeps the row.
    """

    holding: ClassVar[Holding] = Holding(
        kind="keys",
        erased=Erasure.KEPT,
        person="person",
        because="Emptied when the person is erased; the empty row stays, so that no new key is made.",
        withheld=frozenset({"sealed_key"}),
    )

    person = models.UUIDField()
    sealed_key = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now())
    destroyed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "person"], name="crypto_person_key_once"),
            models.CheckConstraint(
                condition=Q(destroyed_at__isnull=True) ^ Q(sealed_key=b""),
                name="crypto_destroyed_person_is_empty",
            ),
        ]
