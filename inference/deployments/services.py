"""What people do with deployments, and how a new model gets its own."""

from uuid import UUID

from django.db.models import F
from django.db.models.functions import Now

from inference.deployments.happenings import (
    CHANGED,
    CREATED,
    OUTCOMES,
    STARTED,
    STOPPED,
    tell,
    tell_cleared,
)
from inference.deployments.models import CacheGeneration, Deployment, DeploymentState
from kernel import ids
from kernel.audit.log import record
from kernel.errors import Conflict
from kernel.ports.serving import names_models
from kernel.tenancy.scope import current_organization_id
from training.registry.models import BaseModel, ModelVersion

PROJECT_BASE_MODEL = "smollm2-135m-instruct"


def deploy_base_model(project_id: UUID) -> Deployment:
    """Give a project of the current organization the base model itself; once, however often asked."""
    base = BaseModel.objects.filter(name=PROJECT_BASE_MODEL).first()
    return _deploy(
        Deployment(
            project_id=project_id,
            alias=PROJECT_BASE_MODEL,
            base_model=PROJECT_BASE_MODEL,
            digest=base.digest if base else "",
        )
    )


def deploy_model_version(version: ModelVersion) -> Deployment:
    """Give a model version of the current organization its alias; once, however often asked.

    Asked again, it tells again how loading ended: whoever asked may not have heard.
    Raises `Conflict` when another model holds the alias in the project.
    """
    deployment = _deploy(
        Deployment(
            project_id=version.project_id,
            created_by_id=version.created_by_id,
            alias=version.name,
            base_model=version.base_model.name,
            model_version=version,
            digest=version.digest,
        )
    )
    if deployment.model_version_id != version.pk:
        raise Conflict(f"The alias '{version.name}' belongs to another model in this project.")
    if deployment.state in OUTCOMES:
        tell(OUTCOMES[deployment.state], deployment)
    return deployment


def stop_deployment(deployment: Deployment) -> None:
    """Take a model out of service: the gateway refuses it from the event on. Stopping twice is one stop."""
    changed = (
        Deployment.objects.filter(pk=deployment.pk)
        .exclude(state=DeploymentState.STOPPED)
        .update(state=DeploymentState.STOPPED, updated_at=Now(), fault="", error="", claimed_until=None)
    )
    if changed:
        record("deployment.stop", deployment.public_id)
        tell(STOPPED, deployment)


def start_deployment(deployment: Deployment) -> None:
    """Put a stopped or failed model back into service. Raises `Conflict` when it is not out of service."""
    changed = Deployment.objects.filter(
        pk=deployment.pk, state__in=[DeploymentState.STOPPED, DeploymentState.FAILED]
    ).update(
        state=DeploymentState.LOADING,
        updated_at=Now(),
        fault="",
        error="",
        attempts=0,
        claimed_until=None,
    )
    if not changed:
        raise Conflict("The deployment is in service or on its way already.")
    record("deployment.start", deployment.public_id)
    tell(STARTED, deployment)


def let_cache(deployment: Deployment, *, caches: bool) -> None:
    """Say whether gateways may keep the deployment's answers; they follow from the event on."""
    changed = Deployment.objects.filter(pk=deployment.pk, caches=not caches).update(
        caches=caches, updated_at=Now()
    )
    if changed:
        change = {"before": {"caches": not caches}, "after": {"caches": caches}}
        record("deployment.update", deployment.public_id, **change)
        tell(CHANGED, deployment)


def clear_cache() -> CacheGeneration:
    """Have the current organization's cache begin anew: what is kept opens nowhere from the event on."""
    CacheGeneration.objects.bulk_create([CacheGeneration()], ignore_conflicts=True)
    CacheGeneration.objects.update(number=F("number") + 1, cleared_at=Now())
    generation: CacheGeneration = CacheGeneration.objects.get()
    public_id = ids.render("org", current_organization_id())
    record("cache.clear", public_id, generation=generation.number)
    tell_cleared(generation.number)
    return generation


def _deploy(wanted: Deployment) -> Deployment:
    wanted.stamp()
    present = Deployment.objects.filter(project_id=wanted.project_id, alias=wanted.alias)
    # An event may be delivered twice at the same time: the unique alias decides, without a fault.
    Deployment.objects.bulk_create([wanted], ignore_conflicts=True)
    deployment: Deployment = present.get()
    if deployment.pk == wanted.pk:
        record("deployment.create", deployment.public_id, alias=deployment.alias)
        tell(CREATED, deployment)
    return deployment


@names_models
def model_names(project_id: UUID) -> list[str]:
    """The aliases of a project of the current organization, the oldest first."""
    rows = Deployment.objects.filter(project_id=project_id).order_by("pk")
    return list(rows.values_list("alias", flat=True))
