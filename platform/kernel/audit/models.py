"""The audit log's tables: append-only, even for the application. See docs/audit.md."""

from typing import Any, ClassVar
from uuid import UUID

from django.db import models
from django.db.models.functions import Now

from kernel import ids
from kernel.audit.canonical import SALT_BYTES, Entry, commitment
from kernel.crypto.columns import OpenedBytes, SealedColumn
from kernel.crypto.errors import KeyDestroyed
from kernel.ports.holdings import Erasure, Holding, of_nobody
from kernel.tenancy.models import TenantOwned

# Shown in the place of an address whose key was destroyed with its person's.
ERASED = "erased"


class AuditEntry(TenantOwned):
    """Who (`actor`) did what (`action`) on what (`target`), from where, with which outcome.

    `details` says what changed, without secrets and without content. `person` is who stands behind the actor:
    the signed-in person, or the maker of the API key that `actor` names. The network address is kept sealed
    under that person's own key; the chain holds a commitment to it, so that it can be erased.
    """

    holding: ClassVar[Holding] = Holding(
        kind="audit log",
        erased=Erasure.KEPT,
        person="person",
        because="It proves what was done with the organization's data and models; the person's network "
        "address in it becomes unreadable with their key.",
        withheld=frozenset({"sealed_address", "address_commitment"}),
    )

    OUTCOMES = [("allowed", "allowed"), ("denied", "denied")]

    occurred_at = models.DateTimeField(db_default=Now())
    actor = models.CharField(max_length=60)
    person = models.UUIDField(null=True)
    action = models.CharField(max_length=60)
    target = models.CharField(max_length=60)
    outcome = models.CharField(max_length=10, choices=OUTCOMES)
    request_id = models.CharField(max_length=60, blank=True)
    details: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    address_commitment = models.BinaryField(default=b"")
    sealed_address = SealedColumn(default=b"", purpose="audit.entry.address", person="sealed_for")
    salted_address = OpenedBytes("sealed_address")

    class Meta:
        indexes = [models.Index(fields=["organization_id", "occurred_at"], name="audit_entry_by_time")]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.target}: {self.outcome}"

    @property
    def public_id(self) -> str:
        return ids.render("audit_log", self.id)

    @property
    def sealed_for(self) -> UUID:
        """Whose key seals the address: the person's, or the organization's as if it were one.

        Never the organization's key itself: its rotation may rewrite what it seals, and entries stay.
        """
        return self.person or self.organization_id

    @property
    def address(self) -> str:
        """From where it was done; empty where that is not known, `erased` once the person is."""
        disclosed = self.disclosed_address()
        return disclosed[1] if disclosed else ERASED if self.address_commitment else ""

    def disclosed_address(self) -> tuple[bytes, str] | None:
        """The salt and the address that the commitment is to; None where there is none or it is erased.

        Raises `CiphertextAltered`, `KeyUnavailable`.
        """
        try:
            salted = self.salted_address
        except KeyDestroyed:
            return None
        return (salted[:SALT_BYTES], salted[SALT_BYTES:].decode()) if salted else None

    def keep_address(self, salt: bytes, address: str) -> None:
        """Commit to an address and seal it; only committed to where the person's key was destroyed.

        Raises `KeyUnavailable`.
        """
        self.stamp()
        self.address_commitment = commitment(salt, address)
        try:
            self.salted_address = salt + address.encode()
        except KeyDestroyed:
            self.sealed_address = b""

    def to_seal(self) -> Entry:
        """What the chain holds of it."""
        return Entry(
            organization_id=self.organization_id,
            id=self.id,
            occurred_at=self.occurred_at,
            actor=self.actor,
            action=self.action,
            target=self.target,
            outcome=self.outcome,
            request_id=self.request_id,
            person=self.person,
            address_commitment=bytes(self.address_commitment),
            details=self.details,
        )


class UnsealedEntry(TenantOwned):
    """An entry (by its id) that waits for its seal.

    The database adds the row with the entry itself: both are committed at once, in whatever order
    transactions end.
    """

    holding: ClassVar[Holding] = of_nobody("audit entries to be sealed")

    def __str__(self) -> str:
        return str(self.id)


class AuditSeal(TenantOwned):
    """The place of an entry (by its id) in its organization's chain, which no second one can take."""

    holding: ClassVar[Holding] = of_nobody("audit seals")

    sequence = models.BigIntegerField()
    previous_hash = models.BinaryField()
    hash = models.BinaryField()
    sealed_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "sequence"], name="audit_seal_place_once")
        ]

    def __str__(self) -> str:
        return f"{self.sequence} {self.id}"


class AuditCheckpoint(TenantOwned):
    """A signed statement of how many entries the log had, and the root that stands for all of them.

    `subtrees` are the hashes from which the tree grows on; `object_key` is where the copy outside lies.
    """

    holding: ClassVar[Holding] = of_nobody(
        "audit checkpoints", objects=("object_key",), withheld=frozenset({"subtrees"})
    )

    entries = models.BigIntegerField()
    root = models.BinaryField()
    subtrees = models.BinaryField()
    document = models.TextField()
    key_id = models.CharField(max_length=64)
    signature = models.BinaryField()
    object_key = models.CharField(max_length=250)
    made_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "entries"], name="audit_checkpoint_size_once")
        ]

    def __str__(self) -> str:
        return f"{self.organization_id}: {self.entries}"
