"""How jobs, their events, checkpoints and metrics look on the wire."""

from datetime import datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from kernel import ids
from training.jobs.models import Checkpoint, FineTuningJob, JobEvent, JobMetric, JobState
from training.jobs.orders import AUTO, SUPERVISED

POINT = (
    "step",
    "train_loss",
    "valid_loss",
    "train_mean_token_accuracy",
    "valid_mean_token_accuracy",
    "learning_rate",
    "grad_norm",
    "tokens_per_second",
)
EVENT_LEVELS = ["info", "warn", "error"]
EVENT_TYPES = ["message", "metrics"]
HYPERPARAMETERS = ("n_epochs", "batch_size", "learning_rate_multiplier")


class FaultSerializer(serializers.Serializer[Any]):
    """Why a job failed."""

    code = serializers.CharField()
    message = serializers.CharField()
    param = serializers.CharField(allow_null=True)


@extend_schema_field({"oneOf": [{"type": "integer"}, {"type": "string", "enum": [AUTO]}]})
class WholeNumberOrAuto(serializers.Field[Any, Any, Any, Any]):
    """A whole number, or "auto" until the platform has chosen one."""


@extend_schema_field({"oneOf": [{"type": "number"}, {"type": "string", "enum": [AUTO]}]})
class AnyNumberOrAuto(serializers.Field[Any, Any, Any, Any]):
    """A number, or "auto" until the platform has chosen one."""


class HyperparametersShape(serializers.Serializer[Any]):
    """What was asked for; what was left to the platform, once it has chosen."""

    n_epochs = WholeNumberOrAuto()
    batch_size = WholeNumberOrAuto()
    learning_rate_multiplier = AnyNumberOrAuto()


class SupervisedShape(serializers.Serializer[Any]):
    """Options of supervised fine-tuning."""

    hyperparameters = HyperparametersShape()


class MethodShape(serializers.Serializer[Any]):
    """How the job fine-tunes."""

    type = serializers.ChoiceField(choices=[SUPERVISED])
    supervised = SupervisedShape()


class JobSerializer(serializers.Serializer[Any]):
    """OpenAI's fine-tuning job."""

    object = serializers.CharField()
    id = serializers.CharField()
    model = serializers.CharField()
    created_at = serializers.IntegerField()
    finished_at = serializers.IntegerField(allow_null=True)
    fine_tuned_model = serializers.CharField(allow_null=True)
    organization_id = serializers.CharField()
    status = serializers.ChoiceField(choices=JobState.choices)
    training_file = serializers.CharField()
    validation_file = serializers.CharField(allow_null=True)
    hyperparameters = HyperparametersShape()
    method = MethodShape()
    result_files = serializers.ListField(child=serializers.CharField())
    trained_tokens = serializers.IntegerField(allow_null=True)
    error = FaultSerializer(allow_null=True)
    integrations = serializers.ListField(child=serializers.DictField())
    seed = serializers.IntegerField()
    estimated_finish = serializers.IntegerField(allow_null=True)
    metadata = serializers.DictField(child=serializers.CharField())


class EventSerializer(serializers.Serializer[Any]):
    """OpenAI's event of a job."""

    object = serializers.CharField()
    id = serializers.CharField()
    created_at = serializers.IntegerField()
    level = serializers.ChoiceField(choices=EVENT_LEVELS)
    message = serializers.CharField()
    type = serializers.ChoiceField(choices=EVENT_TYPES)
    data = serializers.DictField()  # type: ignore[assignment]


class CheckpointMetricsSerializer(serializers.Serializer[Any]):
    """What was measured at a checkpoint's step; what was not measured is left out."""

    step = serializers.IntegerField()
    train_loss = serializers.FloatField(required=False)
    train_mean_token_accuracy = serializers.FloatField(required=False)
    valid_loss = serializers.FloatField(required=False)
    valid_mean_token_accuracy = serializers.FloatField(required=False)


class CheckpointSerializer(serializers.Serializer[Any]):
    """OpenAI's checkpoint of a job."""

    object = serializers.CharField()
    id = serializers.CharField()
    created_at = serializers.IntegerField()
    fine_tuned_model_checkpoint = serializers.CharField()
    fine_tuning_job_id = serializers.CharField()
    step_number = serializers.IntegerField()
    metrics = CheckpointMetricsSerializer()


class PointSerializer(serializers.Serializer[Any]):
    """What one step measured."""

    step = serializers.IntegerField()
    train_loss = serializers.FloatField(allow_null=True)
    valid_loss = serializers.FloatField(allow_null=True)
    train_mean_token_accuracy = serializers.FloatField(allow_null=True)
    valid_mean_token_accuracy = serializers.FloatField(allow_null=True)
    learning_rate = serializers.FloatField(allow_null=True)
    grad_norm = serializers.FloatField(allow_null=True)
    tokens_per_second = serializers.FloatField(allow_null=True)


class MetricsSerializer(serializers.Serializer[Any]):
    """The curve of a job, as far as it has come."""

    points = PointSerializer(many=True)
    total_steps = serializers.IntegerField(allow_null=True)


def show_job(job: FineTuningJob) -> dict[str, Any]:
    """A job as OpenAI's API has it. The model is named only once it answers."""
    hyperparameters = _hyperparameters(job)
    running = job.state == JobState.RUNNING
    return {
        "object": "fine_tuning.job",
        "id": job.public_id,
        "model": job.base_model.name,
        "created_at": _seconds(job.created_at),
        "finished_at": _seconds(job.finished_at),
        "fine_tuned_model": job.alias if job.state == JobState.SUCCEEDED else None,
        "organization_id": ids.render("org", job.organization_id),
        "status": job.state,
        "training_file": ids.render("file", job.training_file_id),
        "validation_file": ids.render("file", job.validation_file_id) if job.validation_file_id else None,
        "hyperparameters": hyperparameters,
        "method": {"type": job.method, job.method: {"hyperparameters": hyperparameters}},
        "result_files": [],
        "trained_tokens": job.trained_tokens if job.state == JobState.SUCCEEDED else None,
        "error": _fault(job),
        "integrations": [],
        "seed": job.seed,
        "estimated_finish": _seconds(job.estimated_finish) if running else None,
        "metadata": job.metadata,
    }


def show_event(event: JobEvent) -> dict[str, Any]:
    """An event as OpenAI's API has it."""
    return {
        "object": "fine_tuning.job.event",
        "id": event.public_id,
        "created_at": _seconds(event.created_at),
        "level": event.level,
        "message": event.message,
        "type": event.type,
        "data": event.data,
    }


def show_checkpoint(checkpoint: Checkpoint) -> dict[str, Any]:
    """A checkpoint as OpenAI's API has it; the query must have joined its job."""
    return {
        "object": "fine_tuning.job.checkpoint",
        "id": checkpoint.public_id,
        "created_at": _seconds(checkpoint.created_at),
        "fine_tuned_model_checkpoint": f"{checkpoint.job.alias}:ckpt-step-{checkpoint.step}",
        "fine_tuning_job_id": checkpoint.job.public_id,
        "step_number": checkpoint.step,
        "metrics": {"step": checkpoint.step, **checkpoint.metrics},
    }


def show_point(metric: JobMetric) -> dict[str, Any]:
    """One point of the curve."""
    return {name: getattr(metric, name) for name in POINT}


def _hyperparameters(job: FineTuningJob) -> dict[str, Any]:
    known = {"learning_rate_multiplier": 1.0, **job.resolved} if job.resolved else {}
    asked = job.requested
    return {
        name: known.get(name, "auto") if asked.get(name, "auto") == "auto" else asked[name]
        for name in HYPERPARAMETERS
    }


def _fault(job: FineTuningJob) -> dict[str, Any] | None:
    if not job.error_code:
        return None
    return {"code": job.error_code, "message": job.error_message, "param": job.error_param or None}


def _seconds(moment: datetime | None) -> int | None:
    return int(moment.timestamp()) if moment else None
