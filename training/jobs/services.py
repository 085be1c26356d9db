"""What people do with fine-tuning jobs: start them and cancel them; and what other rooms tell of them."""

import secrets
import string
from uuid import UUID

from django.utils.text import slugify

from kernel import ids
from kernel.audit.log import record
from kernel.errors import NotFound
from tenants.access.models import User
from tenants.access.permissions import Permission
from tenants.access.principal import Principal
from tenants.access.restrictable import visible
from tenants.datasets.models import File, FileState
from tenants.limits.services.training import Training, require_training_left
from tenants.organizations.models import Organization, Project
from tenants.organizations.refusals import require_model
from training.jobs import states, validation
from training.jobs.errors import (
    FileUnknown,
    FileUnusable,
    ModelUnknown,
    NotCancellable,
    TrainingNotAllowed,
)
from training.jobs.models import FineTuningJob, JobState
from training.jobs.orders import MAX_SEED, JobOrder
from training.jobs.states import Fault, Line
from training.registry.models import BaseModel

PURPOSE = "fine-tune"
ALIAS_LETTERS = string.ascii_lowercase + string.digits
MAX_SLUG_CHARACTERS = 40


def start_job(order: JobOrder, *, by: Principal) -> FineTuningJob:
    """Create a job in the current organization; it is queued as soon as its files are validated.

    Raises `ModelNotAllowed`, `ModelUnknown`, `FileUnknown`, `FileUnusable`, `TrainingNotAllowed`, each naming
    the parameter, and `LimitReached`.
    """
    project = Project.objects.get(pk=by.project_id)
    require_model(project, order.model, allowed=by.allowed_models)
    base_model = _base_model(order.model)
    require_training_left(Training(by.project_id, by.user_id, base_model.name))
    training_file = _file(order.training_file, "training_file", by)
    validation_file = _file(order.validation_file, "validation_file", by) if order.validation_file else None
    job: FineTuningJob = FineTuningJob.objects.create(
        project=project,
        created_by=User.objects.filter(pk=by.user_id).first() if by.user_id else None,
        base_model=base_model,
        training_file=training_file,
        validation_file=validation_file,
        requested=order.hyperparameters,
        suffix=order.suffix,
        alias=_alias(base_model, order.suffix, by.organization_id),
        seed=order.seed if order.seed is not None else secrets.randbelow(MAX_SEED),
        metadata=order.metadata,
    )
    record("training.start", job.public_id, file=training_file.public_id, base_model=base_model.name)
    states.tell(
        job,
        Line(f"Created fine-tuning job: {job.public_id}"),
        Line(f"Validating training file: {training_file.public_id}"),
    )
    validation.advance(states.lock(job.pk))
    job.refresh_from_db()
    return job


def cancel_job(job: FineTuningJob) -> FineTuningJob:
    """End a job that has not ended. Its runner notices within a second and stops the recipe.

    Raises `NotCancellable` when it has ended, or when its model is made and only being deployed.
    """
    locked = states.lock(job.pk)
    if locked.has_ended:
        raise NotCancellable(f"The job {job.public_id} has already {_ended(locked)}; it cannot be cancelled.")
    if locked.deploying_since is not None:
        raise NotCancellable(
            f"The training of {job.public_id} is finished and its model is being deployed; "
            "stop its deployment instead."
        )
    states.cancel(locked)
    record("training.cancel", job.public_id)
    return locked


def file_concluded(file_id: UUID) -> None:
    """A file was validated or deleted: the jobs that wait for it go on."""
    waiting = FineTuningJob.objects.filter(state=JobState.VALIDATING_FILES)
    mine = waiting.filter(training_file_id=file_id) | waiting.filter(validation_file_id=file_id)
    for job_id in mine.order_by("pk").values_list("pk", flat=True):
        validation.advance(states.lock(job_id))


def model_answers(model_version_id: UUID) -> None:
    """A deployment serves the model version: the job that made it has succeeded. Safe to repeat."""
    if (job := _deploying(model_version_id)) is not None:
        states.succeed(job)


def deployment_failed(model_version_id: UUID, reason: str) -> None:
    """The model version could not be deployed: the job that made it has failed. Safe to repeat."""
    if (job := _deploying(model_version_id)) is not None:
        states.fail(
            job, Fault("deployment_failed", f"The model was trained and could not be deployed: {reason}")
        )


def _deploying(model_version_id: UUID) -> FineTuningJob | None:
    job: FineTuningJob | None = (
        FineTuningJob.objects.select_for_update()
        .filter(model_version_id=model_version_id, state=JobState.RUNNING)
        .exclude(deploying_since=None)
        .first()
    )
    return job


def _ended(job: FineTuningJob) -> str:
    return "been cancelled" if job.state == JobState.CANCELLED else str(job.state)


def _base_model(name: str) -> BaseModel:
    model = BaseModel.objects.filter(name=name).first()
    if model is None:
        known = ", ".join(BaseModel.objects.order_by("name").values_list("name", flat=True)[:10])
        raise ModelUnknown(
            f"The model '{name[:80]}' does not exist or cannot be fine-tuned. Choose one of: {known}.",
            param="model",
        )
    return model


def _file(public_id: str, param: str, by: Principal) -> File:
    unknown = FileUnknown(f"There is no file '{public_id[:80]}' in this project.", param=param)
    try:
        file_id = ids.parse("file", public_id)
    except NotFound:
        raise unknown from None
    # Locked, so that its validation cannot conclude unseen between this look and the job's commit.
    rows = File.objects.select_for_update(of=("self",)).filter(deleted_at=None)
    here = visible(rows, by, Permission.FILE_READ)
    file: File | None = here.filter(pk=file_id).first()
    if file is None:
        raise unknown
    if file.purpose != PURPOSE:
        raise FileUnusable(
            f"The file {public_id} has the purpose '{file.purpose}'; it must be '{PURPOSE}'.", param=param
        )
    if not file.training_allowed:
        raise TrainingNotAllowed(
            f"The provenance of {public_id} says that models must not learn from its rows; see "
            f"/api/v1/files/{public_id}/provenance.",
            param=param,
        )
    if file.state == FileState.INVALID:
        raise FileUnusable(
            f"The file {public_id} failed validation: {file.state_reason or 'its rows cannot be read.'}",
            param=param,
        )
    return file


def _alias(base_model: BaseModel, suffix: str, organization_id: UUID) -> str:
    name = Organization.objects.get(pk=organization_id).name
    slug = slugify(name)[:MAX_SLUG_CHARACTERS].strip("-") or "org"
    unique = "".join(secrets.choice(ALIAS_LETTERS) for _ in range(8))
    return f"ft:{base_model.name}:{slug}:{suffix}:{unique}"
