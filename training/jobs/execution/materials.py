"""Everything a recipe needs, laid out in its private folder: rows, the last checkpoint, `run.json`."""

import json
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from django.conf import settings

from kernel.audit.log import record
from kernel.storage import objects
from kernel.storage.errors import ObjectMissing
from kernel.tenancy.scope import acting_for
from tenants.datasets.models import DatasetVersion
from training.jobs.execution import checkpoints, leases
from training.jobs.execution.leases import Lease
from training.jobs.execution.setbacks import Unfit
from training.jobs.models import FineTuningJob
from training.jobs.states import Fault

# Room for adapters, checkpoints and their packing beside the rows.
WORK_BYTES = 512 << 20


@dataclass(frozen=True)
class Sheet:
    """What has to be known of a job to run it, read once."""

    job: FineTuningJob
    training: DatasetVersion
    validation: DatasetVersion | None

    @property
    def bytes(self) -> int:
        """About how much room the run takes."""
        return WORK_BYTES + self.training.bytes + (self.validation.bytes if self.validation else 0)


@dataclass(frozen=True)
class Laid:
    """A folder ready to run, and the step it resumes at (0: the start)."""

    folder: Path
    resumed_step: int


def read_sheet(lease: Lease) -> Sheet:
    """Read the job and its datasets. Raises `LeaseLost`, `Unfit`."""
    with acting_for(lease.organization_id):
        job = leases.hold(lease)
        for file, param in ((job.training_file, "training_file"), (job.validation_file, "validation_file")):
            if file is not None and file.deleted_at is not None:
                raise Unfit(_deleted(file.public_id, param))
            if file is not None and not file.training_allowed:
                raise Unfit(_forbidden(file.public_id, param))
        job.base_model  # noqa: B018 - read while the scope is open
        training = DatasetVersion.objects.get(pk=job.training_dataset_id)
        validation = DatasetVersion.objects.filter(pk=job.validation_dataset_id).first()
        for version in filter(None, (training, validation)):
            record("dataset_version.read", version.public_id, job=job.public_id)
        return Sheet(job, training, validation)


def lay_out(lease: Lease, sheet: Sheet, folder: Path) -> Laid:
    """Fill the folder. Raises `LeaseLost`, `Unfit`, `StorageUnavailable`."""
    job = sheet.job
    _download(lease.organization_id, sheet.training, folder / "train.jsonl", "training_file")
    if sheet.validation is not None:
        _download(lease.organization_id, sheet.validation, folder / "validation.jsonl", "validation_file")
    resumed = checkpoints.fetch_latest(lease, folder)
    work = folder / "work"
    work.mkdir(mode=0o700, exist_ok=True)
    order = {
        "base_model_dir": str(Path(settings.MODELS_DIR) / job.base_model.folder),
        "train_file": "train.jsonl",
        "validation_file": "validation.jsonl" if sheet.validation else None,
        "work_dir": "work",
        "resume_from": resumed[1].name if resumed else None,
        "hyperparameters": job.resolved,
        "threads": None,
    }
    (folder / "run.json").write_text(json.dumps(order), encoding="utf-8")
    return Laid(folder, resumed[0] if resumed else 0)


def _download(organization_id: UUID, version: DatasetVersion, path: Path, param: str) -> None:
    try:
        with path.open("wb") as target:
            for chunk in objects.get(organization_id, version.object_key):
                target.write(chunk)
    except ObjectMissing:
        raise Unfit(
            Fault("file_not_found", "The rows of the file are gone; upload the file again.", param)
        ) from None


def _deleted(file_id: str, param: str) -> Fault:
    return Fault(
        "file_not_found", f"The file {file_id} was deleted before the job ran; upload it again.", param
    )


def _forbidden(file_id: str, param: str) -> Fault:
    return Fault(
        "training_not_allowed",
        f"The provenance of {file_id} was changed before the job ran: models must not learn from its rows.",
        param,
    )
