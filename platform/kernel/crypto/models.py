"""The wrapped keys of organizations."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from kernel.tenancy.models import TenantOwned


class OrganizationKey(TenantOwned):
    """One version of an organization's key-encryption key, wrapped by a key provider.

    The highest version seals; the older ones open what they sealed. Destroying a key empties it and keeps
    the row as a tombstone, so that nobody mistakes a shredded organization for a new one.
    """

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
