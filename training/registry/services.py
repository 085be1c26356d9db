"""What is written to the registry: the platform's base models, and what fine-tuning made."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from kernel.audit.log import record
from kernel.events.outbox import Happening, emit
from training.registry.folders import Described, describe
from training.registry.models import BaseModel, ModelVersion

REGISTERED = "training.model_version.registered.v1"


@dataclass(frozen=True, kw_only=True)
class NewModelVersion:
    """What a job made; `object_key` must hold the adapter already."""

    id: UUID
    name: str
    project_id: UUID
    created_by_id: UUID | None
    base_model: BaseModel
    job_id: UUID
    digest: str
    bytes: int
    object_key: str
    metrics: dict[str, Any] = field(default_factory=dict)
    lineage: dict[str, Any] = field(default_factory=dict)


def register_base_models(models_dir: Path) -> list[BaseModel]:
    """Enter every base model that has a complete folder under `models_dir`; safe to repeat.

    Each row holds the chat template and its tokens too. Raises `BaseModelBroken`.
    """
    manifests = sorted(models_dir.glob("*/manifest.json"))
    folders = [path.parent for path in manifests if not path.parent.name.startswith(".")]
    return [_enter(describe(folder)) for folder in folders]


def register_model_version(new: NewModelVersion) -> ModelVersion:
    """Enter what a job made and tell it, in the caller's transaction; the same job's again is the first."""
    known: ModelVersion | None = ModelVersion.objects.filter(job_id=new.job_id).first()
    if known is not None:
        return known
    version: ModelVersion = ModelVersion.objects.create(**vars(new))
    record("model_version.register", version.public_id, digest=version.digest)
    announce(version)
    return version


def announce(version: ModelVersion) -> None:
    """Tell that there is a model to deploy. Told again when nobody seems to have heard."""
    emit(
        Happening(
            name=REGISTERED,
            aggregate_id=version.pk,
            project_id=version.project_id,
            resource="model_version",
            resource_id=version.public_id,
            payload={
                "model_version_id": str(version.pk),
                "job_id": str(version.job_id) if version.job_id else None,
                "base_model": version.base_model.name,
                "digest": version.digest,
                "name": version.name,
            },
        )
    )


def _enter(described: Described) -> BaseModel:
    facts = vars(described)
    name = facts["name"]
    model, _ = BaseModel.objects.update_or_create(name=name, defaults=facts)
    return model
