"""Batches, and the parts of their output that are stored while they run."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from kernel import ids
from kernel.ports.holdings import Erasure, Holding, Keeping, of_nobody
from kernel.tenancy.models import TenantOwned
from tenants.datasets.models import File
from tenants.organizations.models import ProjectOwned


class BatchState(models.TextChoices):
    """Where a batch is in its life, in OpenAI's words."""

    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


AT_WORK = (BatchState.VALIDATING, BatchState.IN_PROGRESS, BatchState.FINALIZING, BatchState.CANCELLING)
ENDED = frozenset(BatchState) - frozenset(AT_WORK)


class Batch(ProjectOwned):
    """Requests of one file that are answered into another. This row is the truth; messages are only wake-ups.

    Its requests run as whoever made it: the key `key_id`, or else the person `created_by`. Whoever works on
    it holds a lease until `lease_until` under the number `fence`; a write under an older number is refused.
    It is not taken up before `not_before`; `turn_at` is when it was last.

    How far it is: every request up to line `line` of the input, which ends before byte `offset`, is done,
    and those on the later lines in `ahead`. `tries` counts, by line, the attempts in vain at requests
    that are not done, and those of them that broke down. `ending` is the state to which it goes once its
    files are written.
    """

    holding: ClassVar[Holding] = Holding(
        kind="batches",
        erased=Erasure.CLEARED,
        person="created_by_id",
        cleared=("created_by",),
        kept=Keeping(since="finished_at"),
    )

    key_id = models.UUIDField(null=True)
    endpoint = models.CharField(max_length=100)
    completion_window = models.CharField(max_length=10)
    metadata: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    output_expires_after_seconds = models.IntegerField(null=True)
    input_file = models.ForeignKey(File, on_delete=models.PROTECT, db_constraint=False, related_name="+")
    output_file = models.ForeignKey(
        File, null=True, on_delete=models.PROTECT, db_constraint=False, related_name="+"
    )
    error_file = models.ForeignKey(
        File, null=True, on_delete=models.PROTECT, db_constraint=False, related_name="+"
    )

    state = models.CharField(max_length=20, choices=BatchState.choices, default=BatchState.VALIDATING)
    ending = models.CharField(max_length=20, choices=BatchState.choices, blank=True)
    # OpenAI's: code, message, param and line of each.
    errors: "models.JSONField[Any, Any]" = models.JSONField(default=list)
    in_progress_at = models.DateTimeField(null=True)
    finalizing_at = models.DateTimeField(null=True)
    cancelling_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()

    model = models.CharField(max_length=250, blank=True)
    total = models.IntegerField(default=0)
    completed = models.IntegerField(default=0)
    failed = models.IntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)

    fence = models.BigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    not_before = models.DateTimeField(null=True)
    turn_at = models.DateTimeField(db_default=Now())
    setbacks = models.IntegerField(default=0)
    line = models.IntegerField(default=0)
    offset = models.BigIntegerField(default=0)
    ahead: "models.JSONField[Any, Any]" = models.JSONField(default=list)
    tries: "models.JSONField[Any, Any]" = models.JSONField(default=dict)

    class Meta:
        indexes = [
            models.Index(fields=["organization_id", "project", "id"], name="batch_by_project"),
            models.Index(
                fields=["turn_at"],
                name="batch_at_work",
                condition=Q(state__in=["validating", "in_progress", "finalizing", "cancelling"]),
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render("batch", self.id)

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED


class PartKind(models.TextChoices):
    """Which of a batch's two files a part belongs to."""

    OUTPUT = "output"
    ERROR = "error"


class BatchPart(TenantOwned):
    """Some lines of an output file to be. The row is written after its object, and goes once the file is."""

    holding: ClassVar[Holding] = of_nobody(
        "parts of batches", withheld=frozenset({"object_key"}), objects=("object_key",)
    )

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, db_constraint=False, related_name="parts")
    kind = models.CharField(max_length=10, choices=PartKind.choices)
    object_key = models.CharField(max_length=200)
    lines = models.IntegerField()

    class Meta:
        indexes = [models.Index(fields=["organization_id", "batch", "id"], name="part_by_batch")]

    def __str__(self) -> str:
        return f"{self.lines} lines of {self.batch_id}"
