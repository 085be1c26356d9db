"""What a finished recipe made: checked, encrypted, stored, and entered in the registry."""

import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models.functions import Now

from kernel import ids
from kernel.storage import objects
from kernel.storage.names import object_key
from kernel.tenancy.scope import acting_for
from training import recipes
from training.jobs import accounting, states
from training.jobs.errors import LeaseLost
from training.jobs.execution import checkpoints, leases
from training.jobs.execution.leases import Lease
from training.jobs.execution.reports import shown_measures
from training.jobs.execution.setbacks import Setback
from training.jobs.models import FineTuningJob
from training.jobs.states import Line
from training.recipes import artifact
from training.registry.services import NewModelVersion, register_model_version


@dataclass(frozen=True)
class Product:
    """An adapter in the object store, not entered anywhere yet."""

    model_version_id: UUID
    digest: str
    stored: objects.StoredObject


def store_adapter(lease: Lease, finished: dict[str, Any], folder: Path) -> Product:
    """Check that the adapter is what the recipe says, and store it.

    Raises `Setback` when it is not, `StorageUnavailable`.
    """
    adapter = (folder / str(finished["adapter_dir"])).resolve()
    try:
        names = [path.name for path in artifact.adapter_files(adapter)]
        digest = artifact.digest(adapter)
    except (artifact.Incomplete, OSError) as fault:
        raise Setback("recipe_fault", "The training left no complete model.") from fault
    if digest != finished["digest"] or not adapter.is_relative_to(folder.resolve()):
        raise Setback("recipe_fault", "The model is not the one that the training announced.")
    identifier = ids.uuid7()
    packed = io.BytesIO()
    checkpoints.pack(packed, adapter, names)
    packed.seek(0)
    key = object_key(lease.organization_id, "models", identifier)
    return Product(identifier, digest, objects.put(lease.organization_id, key, packed))


def register(lease: Lease, product: Product, finished: dict[str, Any], measures: dict[str, Any]) -> None:
    """Enter the model version and leave the job to its deployment, in one transaction.

    Raises `LeaseLost`; what was stored is removed then.
    """
    try:
        with acting_for(lease.organization_id):
            _register(leases.hold(lease), product, finished, measures)
    except LeaseLost:
        objects.delete(lease.organization_id, product.stored.key)
        raise


def lineage_of(job: FineTuningJob) -> dict[str, Any]:
    """What the job's model is made of; with this, it can be made again."""
    dataset_id = job.training_dataset_id
    return {
        "dataset_version_id": ids.render("dsv", dataset_id) if dataset_id else None,
        "file_id": ids.render("file", job.training_file_id),
        "base_model_digest": job.base_model.digest,
        "seed": job.seed,
        "code_version": code_version(),
        "hyperparameters": job.resolved,
    }


@lru_cache(maxsize=1)
def code_version() -> str:
    """The platform's version and the hash of the recipes' source."""
    source = Path(str(recipes.__file__)).parent
    hashes = {name: value for name, value in artifact.file_hashes(source).items() if name.endswith(".py")}
    return f"{settings.VERSION}+recipes.{artifact.digest_of(hashes)[:12]}"


def _register(
    job: FineTuningJob, product: Product, finished: dict[str, Any], measures: dict[str, Any]
) -> None:
    trained_tokens = int(finished["trained_tokens"])
    version = register_model_version(
        NewModelVersion(
            id=product.model_version_id,
            name=job.alias,
            project_id=job.project_id,
            created_by_id=job.created_by_id,
            base_model=job.base_model,
            job_id=job.pk,
            digest=product.digest,
            bytes=product.stored.bytes,
            object_key=product.stored.key,
            metrics={
                "steps": int(finished["step"]),
                "trained_tokens": trained_tokens,
                **shown_measures(measures),
            },
            lineage=lineage_of(job),
        )
    )
    # A limit that this last stretch reaches stops the next job; this one's model is made.
    accounting.count_time(job)
    FineTuningJob.objects.filter(pk=job.pk).update(
        model_version=version,
        trained_tokens=trained_tokens,
        deploying_since=Now(),
        announced_at=Now(),
        lease_until=None,
        estimated_finish=None,
    )
    states.tell(job, Line("Training finished; the model is being deployed"))
