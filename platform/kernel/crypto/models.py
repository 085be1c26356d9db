"""The wrapped keys of organizations and of the people in them, and what happens to them."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from kernel.ports.holdings import Erasure, Holding, of_nobody
from kernel.tenancy.models import TenantOwned


class Purpose(models.TextChoices):
    """What a key-encryption key protects: content, or the keys of people."""

    CONTENT = "content"
    PEOPLE = "people"


class OrganizationKey(TenantOwned):
    """One version of an organization's key-encryption key, wrapped by a master key (`provider_key_id`).

    Where the organization brings its own key, that wraps it once more (`own_key_id`). The highest version of
    a purpose seals; the older ones open what they sealed. Destroying a key empties it and keeps the row as a
    tombstone, so that nobody mistakes a shredded organization for a new one.
    """

    purpose = models.CharField(max_length=10, choices=Purpose.choices, default=Purpose.CONTENT)
    version = models.PositiveIntegerField()
    wrapped_key = models.BinaryField()
    provider_key_id = models.CharField(max_length=512)
    own_key_id = models.UUIDField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    destroyed_at = models.DateTimeField(null=True)

    holding: ClassVar[Holding] = of_nobody("encryption keys", withheld=frozenset({"wrapped_key"}))

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id", "purpose", "version"], name="crypto_key_version"
            ),
            models.CheckConstraint(
                condition=Q(destroyed_at__isnull=True) ^ Q(wrapped_key=b""), name="crypto_destroyed_is_empty"
            ),
        ]


class PersonKey(TenantOwned):
    """The key of one person in one organization, sealed under the organization's key for people: it protects
    what is about them alone, so that destroying it erases that everywhere.

    Destroying empties it and keeps the row. `destroyed_under` is the key that had sealed it: backups hold the
    sealed key until that one is gone too.
    """

    person = models.UUIDField()
    sealed_key = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now())
    destroyed_at = models.DateTimeField(null=True)
    destroyed_under = models.UUIDField(null=True)

    holding: ClassVar[Holding] = Holding(
        kind="keys of people",
        erased=Erasure.KEPT,
        person="person",
        because="An empty row keeps a new key from being made for somebody who was erased.",
        withheld=frozenset({"sealed_key"}),
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "person"], name="crypto_person_key_once"),
            models.CheckConstraint(
                condition=Q(destroyed_at__isnull=True) ^ Q(sealed_key=b""),
                name="crypto_destroyed_person_is_empty",
            ),
        ]


class RetiredRoot(TenantOwned):
    """A master key that wraps nothing any more, until its provider has destroyed it."""

    root = models.CharField(max_length=512)
    created_at = models.DateTimeField(db_default=Now())

    holding: ClassVar[Holding] = of_nobody("retired master keys")

    def __str__(self) -> str:
        return self.root


class OwnKey(TenantOwned):
    """The master key that an organization keeps itself, in its AWS KMS or Vault.

    `key` is an ARN or the name of a transit key, `role` what is assumed to use it. `refused_at` is since when
    it may not be used, `answered_at` when it last was.
    """

    PROVIDERS = [("aws_kms", "AWS KMS"), ("vault", "Vault")]

    provider = models.CharField(max_length=10, choices=PROVIDERS)
    key = models.CharField(max_length=512)
    role = models.CharField(max_length=512, blank=True)
    address = models.CharField(max_length=2048, blank=True)
    mount = models.CharField(max_length=200, blank=True)
    namespace = models.CharField(max_length=200, blank=True)
    # Under the platform's key (`kernel.crypto.own`): under the organization's own nobody could open it.
    sealed_token = models.BinaryField(default=b"")
    created_at = models.DateTimeField(db_default=Now())
    answered_at = models.DateTimeField(db_default=Now())
    refused_at = models.DateTimeField(null=True)

    holding: ClassVar[Holding] = of_nobody("own master keys", withheld=frozenset({"sealed_token"}))

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization_id"], name="crypto_own_key_once")]

    def __str__(self) -> str:
        return self.key


class ReEncryptionState(models.TextChoices):
    """Where a re-encryption stands."""

    RUNNING = "running"
    CANCELLED = "cancelled"
    DONE = "done"


class ReEncryption(TenantOwned):
    """Bringing everything of an organization under its newest key, in passes, until one finds nothing to do.

    `place` is where the present pass stands, as `kernel.crypto.reencryption` writes it; `left_in_pass` how
    much of what it has looked at was still under an older key, `unreadable` how much of that did not open.
    """

    state = models.CharField(
        max_length=10, choices=ReEncryptionState.choices, default=ReEncryptionState.RUNNING
    )
    place = models.CharField(max_length=1200, blank=True)
    passes = models.PositiveIntegerField(default=1)
    seen = models.BigIntegerField(default=0)
    moved = models.BigIntegerField(default=0)
    left_in_pass = models.BigIntegerField(default=0)
    unreadable = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)
    # Who works on it, until when: after that another process goes on.
    lease_until = models.DateTimeField(null=True)

    holding: ClassVar[Holding] = of_nobody("re-encryptions", withheld=frozenset({"place", "lease_until"}))

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id"],
                condition=Q(state="running"),
                name="crypto_one_reencryption",
            )
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.id}"
