"""Fine-tuning jobs, what they tell, what they measure and where they can be taken up again."""

from threading import Lock
from typing import Any, ClassVar
from uuid import UUID

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from kernel import ids
from kernel.ports.holdings import Erasure, Holding, Keeping, of_nobody
from kernel.tenancy.models import TenantOwned
from tenants.datasets.models import DatasetVersion, File
from tenants.organizations.models import ProjectOwned
from training.registry.models import BaseModel, ModelVersion


class JobState(models.TextChoices):
    """Where a job is in its life, in OpenAI's words."""

    VALIDATING_FILES = "validating_files"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})


class FineTuningJob(ProjectOwned):
    """A fine-tuning job. This row is the truth; messages are only wake-ups.

    Whoever runs it holds a lease until `lease_until` under the number `fence`; a write under an older
    number is refused. A running job with `deploying_since` has its model and waits for it to answer.
    `attempts` counts, by cause, the runs that ended badly since the last progress; a queued job is not
    taken up again before `not_before`.
    """

    holding: ClassVar[Holding] = Holding(
        kind="fine-tuning jobs", erased=Erasure.CLEARED, person="created_by_id", cleared=("created_by",)
    )

    base_model = models.ForeignKey(BaseModel, on_delete=models.PROTECT, related_name="+")
    training_file = models.ForeignKey(File, on_delete=models.PROTECT, db_constraint=False, related_name="+")
    validation_file = models.ForeignKey(
        File, null=True, on_delete=models.PROTECT, db_constraint=False, related_name="+"
    )
    training_dataset = models.ForeignKey(
        DatasetVersion, null=True, on_delete=models.PROTECT, db_constraint=False, related_name="+"
    )
    validation_dataset = models.ForeignKey(
        DatasetVersion, null=True, on_delete=models.PROTECT, db_constraint=False, related_name="+"
    )
    method = models.CharField(max_length=20, default="supervised")
    requested: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    resolved: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    suffix = models.CharField(max_length=64, blank=True)
    alias = models.CharField(max_length=250)
    seed = models.BigIntegerField()
    metadata: "models.JSONField[Any, Any]" = models.JSONField(default=dict)

    state = models.CharField(max_length=20, choices=JobState.choices, default=JobState.VALIDATING_FILES)
    error_code = models.CharField(max_length=100, blank=True)
    error_message = models.CharField(max_length=1000, blank=True)
    error_param = models.CharField(max_length=100, blank=True)
    queued_at = models.DateTimeField(null=True)
    announced_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    deploying_since = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)
    estimated_finish = models.DateTimeField(null=True)

    fence = models.BigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    runner = models.CharField(max_length=200, blank=True)
    attempts: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    not_before = models.DateTimeField(null=True)

    total_steps = models.IntegerField(null=True)
    trained_tokens = models.BigIntegerField(null=True)
    model_version = models.ForeignKey(
        ModelVersion, null=True, on_delete=models.PROTECT, db_constraint=False, related_name="+"
    )

    class Meta:
        indexes = [
            models.Index(fields=["organization_id", "project", "id"], name="job_by_project"),
            models.Index(fields=["organization_id", "model_version"], name="job_by_model_version"),
            models.Index(
                fields=["state", "id"],
                name="job_at_work",
                condition=Q(state__in=["validating_files", "queued", "running"]),
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render("ftjob", self.id)

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED


_last_event_id = UUID(int=0)
_event_lock = Lock()


def next_event_id() -> UUID:
    """A UUIDv7 greater than the last one of this process: events are listed in the order they were told."""
    global _last_event_id  # noqa: PLW0603
    with _event_lock:
        _last_event_id = max(ids.uuid7(), UUID(int=_last_event_id.int + 1))
        return _last_event_id


class JobEvent(TenantOwned):
    """One line of a job's story, as OpenAI's API tells it. Ids, counts and measures; never content."""

    holding: ClassVar[Holding] = of_nobody("fine-tuning events", kept=Keeping(since="created_at"))

    id = models.UUIDField(primary_key=True, default=next_event_id, editable=False)
    job = models.ForeignKey(
        FineTuningJob, on_delete=models.CASCADE, db_constraint=False, related_name="events"
    )
    created_at = models.DateTimeField(db_default=Now())
    level = models.CharField(max_length=10, default="info")
    type = models.CharField(max_length=10, default="message")
    message = models.CharField(max_length=1000)
    data: "models.JSONField[Any, Any]" = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["organization_id", "job", "id"], name="job_event_by_job")]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render("ftevent", self.id)


class JobMetric(TenantOwned):
    """What one optimizer step measured. A step that is run again after a crash is measured anew."""

    holding: ClassVar[Holding] = of_nobody("fine-tuning metrics")

    job = models.ForeignKey(
        FineTuningJob, on_delete=models.CASCADE, db_constraint=False, related_name="measured"
    )
    step = models.IntegerField()
    epoch = models.FloatField(null=True)
    train_loss = models.FloatField(null=True)
    train_mean_token_accuracy = models.FloatField(null=True)
    valid_loss = models.FloatField(null=True)
    valid_mean_token_accuracy = models.FloatField(null=True)
    learning_rate = models.FloatField(null=True)
    grad_norm = models.FloatField(null=True)
    tokens_per_second = models.FloatField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "job", "step"], name="job_metric_once")
        ]

    def __str__(self) -> str:
        return f"step {self.step} of {self.job_id}"


class Checkpoint(TenantOwned):
    """A point from which a job can go on. The row is written after its object: without it, there is none.

    `digest` is the SHA-256 of the tar in `object_key`; older checkpoints keep their row and lose their
    object (`object_key` is empty then). `broken` marks one that could not be read back.
    """

    holding: ClassVar[Holding] = of_nobody(
        "checkpoints", withheld=frozenset({"object_key"}), objects=("object_key",)
    )

    job = models.ForeignKey(
        FineTuningJob, on_delete=models.CASCADE, db_constraint=False, related_name="checkpoints"
    )
    created_at = models.DateTimeField(db_default=Now())
    step = models.IntegerField()
    object_key = models.CharField(max_length=250, blank=True)
    bytes = models.BigIntegerField()
    digest = models.CharField(max_length=64)
    broken = models.BooleanField(default=False)
    metrics: "models.JSONField[Any, Any]" = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "job", "step"], name="job_checkpoint_once")
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render("ftckpt", self.id)
