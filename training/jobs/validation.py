"""From files to the queue: a job waits until its files are validated, and fails if they cannot be used."""

import math
from typing import Any

from tenants.datasets.models import DatasetVersion, File, FileState
from training.jobs import states
from training.jobs.models import FineTuningJob, JobState
from training.jobs.states import Fault, Line
from training.recipes.hyperparameters import defaults

MIN_TRAINING_ROWS = 10
PENDING = frozenset({FileState.UPLOADED, FileState.VALIDATING})


class _Pending(Exception):
    """A file is not validated yet."""


class _Unusable(Exception):
    """A file cannot be used; says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.code)
        self.fault = fault


def advance(job: FineTuningJob) -> None:
    """Queue or fail a job (locked by the caller) whose files are ready; otherwise leave it as it is."""
    if job.state != JobState.VALIDATING_FILES:
        return
    try:
        training = _usable(job.training_file, "training_file", at_least=MIN_TRAINING_ROWS)
        validation = (
            _usable(job.validation_file, "validation_file", at_least=1) if job.validation_file else None
        )
    except _Pending:
        return
    except _Unusable as unusable:
        states.fail(job, unusable.fault)
        return
    states.queue(
        job,
        Line("Files validated, moving job to queued state"),
        training_dataset=training,
        validation_dataset=validation,
        resolved=resolve(job, training.rows),
    )


def resolve(job: FineTuningJob, rows: int) -> dict[str, Any]:
    """What "auto" means for so many rows: all that the recipe needs, as `run.json` has it."""
    chosen = defaults(rows)
    wanted = {name: value for name, value in job.requested.items() if value != "auto"}
    multiplier = wanted.pop("learning_rate_multiplier", 1.0)
    learning_rate = chosen["learning_rate"] * multiplier
    settings = {
        **chosen,
        **wanted,
        "learning_rate": learning_rate,
        "seed": job.seed,
        "max_tokens": job.base_model.context_tokens,
    }
    return {**settings, "checkpoint_every_steps": _checkpoint_interval(settings, rows)}


def _checkpoint_interval(settings: dict[str, Any], rows: int) -> int:
    # A crash costs at most one interval: a tenth of the run, and not more than fifty steps.
    steps: int = math.ceil(rows / settings["batch_size"]) * settings["n_epochs"]
    return max(5, min(50, math.ceil(steps / 10)))


def _usable(file: File, param: str, *, at_least: int) -> DatasetVersion:
    if file.deleted_at is not None:
        message = f"The file {file.public_id} was deleted before the job could use it; upload it again."
        raise _Unusable(Fault("file_not_found", message, param))
    if file.state in PENDING:
        raise _Pending
    if file.state == FileState.INVALID:
        reason = file.state_reason or "Its rows cannot be read."
        message = f"The file {file.public_id} failed validation: {reason}"
        raise _Unusable(Fault(f"invalid_{param}", message, param))
    version: DatasetVersion | None = DatasetVersion.objects.filter(file=file).order_by("-pk").first()
    if version is None:
        raise _Pending
    if version.rows < at_least:
        message = f"The file {file.public_id} has {version.rows} rows; fine-tuning needs at least {at_least}."
        raise _Unusable(Fault(f"invalid_{param}", message, param))
    return version
