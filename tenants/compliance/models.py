"""Exports, requests for erasure and their certificates, and how long an organization keeps what."""

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from kernel import ids
from kernel.crypto.columns import OpenedText, SealedColumn
from kernel.ports.holdings import Erasure, Holding, Keeping, of_nobody
from kernel.tenancy.models import TenantOwned


class Work(TenantOwned):
    """Something that a worker does at length, for whoever asked.

    Whoever does it holds a lease until `lease_until` under the number `fence`; a write under an older number
    is refused. `done` of `total` is how far it is, `fault` why it stopped.
    """

    AT_WORK: ClassVar[frozenset[str]]
    EVENT: ClassVar[str]

    created_at = models.DateTimeField(db_default=Now())
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    state = models.CharField(max_length=20)
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(default=0)
    fault = models.CharField(max_length=500, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    fence = models.BigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True


class ExportState(models.TextChoices):
    """How far an export is."""

    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"
    # Its file was removed again.
    EXPIRED = "expired"


class Export(Work):
    """A copy of what an organization holds, or of what it holds about one `person`.

    `is_own` marks one that the person asked for: it has their account too, and nobody else can have it.
    """

    holding: ClassVar[Holding] = Holding(
        kind="exports",
        erased=Erasure.DELETED,
        person="person",
        withheld=frozenset({"object_key"}),
        objects=("object_key",),
        kept=Keeping(since="finished_at", days=90, at_most=365),
    )

    AT_WORK = frozenset({ExportState.RUNNING.value})
    EVENT = "tenants.export.requested.v1"

    person = models.UUIDField(null=True)
    is_own = models.BooleanField(default=False)
    object_key = models.CharField(max_length=200, blank=True)
    bytes = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    expires_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["id"], name="export_at_work", condition=models.Q(state="running")),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render("export", self.id)


class ExportPart(TenantOwned):
    """The rows of one kind, stored on the way: an export whose worker is killed goes on after them."""

    holding: ClassVar[Holding] = Holding(
        kind="parts of exports",
        erased=Erasure.DELETED,
        person="export__person",
        withheld=frozenset({"object_key"}),
        objects=("object_key",),
    )

    export = models.ForeignKey(Export, on_delete=models.CASCADE, db_constraint=False, related_name="parts")
    name = models.CharField(max_length=100)
    rows = models.BigIntegerField()
    bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    # Empty where there are no rows.
    object_key = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "export", "name"], name="export_part_once"),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.export_id}"


class ErasureState(models.TextChoices):
    """How far a request for erasure is."""

    FINDING = "finding"
    PLANNED = "planned"
    ERASING = "erasing"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"


class ErasureRequest(Work):
    """That a person, or whoever some words name, or some rows be erased.

    `subject` is JSON: the person's id, the words, and rows by file; it is sealed, and emptied once the
    request is settled. `plan` has ids and counts only.
    """

    holding: ClassVar[Holding] = Holding(
        kind="erasure requests",
        erased=Erasure.KEPT,
        person="person",
        because="That an erasure was demanded and done must stay provable.",
        withheld=frozenset({"sealed_subject"}),
    )

    AT_WORK = frozenset({ErasureState.FINDING.value, ErasureState.ERASING.value})
    EVENT = "tenants.erasure.advanced.v1"

    person = models.UUIDField(null=True)
    sealed_subject = SealedColumn(default=b"", purpose="compliance.erasure.subject")
    subject = OpenedText("sealed_subject")
    # The organization's own number for it.
    reference = models.CharField(max_length=100, blank=True)
    plan: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    planned_at = models.DateTimeField(null=True)
    approved_at = models.DateTimeField(null=True)
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        indexes = [
            models.Index(
                fields=["id"],
                name="erasure_at_work",
                condition=models.Q(state__in=["finding", "erasing"]),
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render("erasure", self.id)


class Certificate(TenantOwned):
    """The signed word that an erasure was done. `document` is what was signed, to the letter."""

    holding: ClassVar[Holding] = Holding(
        kind="erasure certificates",
        erased=Erasure.KEPT,
        person="request__person",
        because="It proves the erasure; it holds ids and counts.",
    )

    request = models.OneToOneField(
        ErasureRequest, on_delete=models.PROTECT, db_constraint=False, related_name="certificate"
    )
    document = models.TextField()
    key_id = models.CharField(max_length=64)
    signature = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render("cert", self.id)


class RetentionPolicy(TenantOwned):
    """For how many days the organization keeps a kind of data, where it chose; None is without end."""

    holding: ClassVar[Holding] = of_nobody("retention policies")

    kind = models.CharField(max_length=50)
    days = models.PositiveIntegerField(null=True)
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "kind"], name="retention_policy_once"),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.days}"


class RetentionRun(TenantOwned):
    """What one day's retention did. `report` maps kinds to counts, and says what was held back and why."""

    holding: ClassVar[Holding] = of_nobody(
        "retention runs", kept=Keeping(since="finished_at", days=400, at_least=90)
    )

    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)
    report: "models.JSONField[Any, Any]" = models.JSONField(default=list)

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render("retention", self.id)
