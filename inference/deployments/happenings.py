"""What is told of deployments; consoles read them again, the snapshot and the jobs follow."""

from inference.deployments.models import Deployment, DeploymentState
from kernel import ids
from kernel.events.outbox import Happening, emit
from kernel.tenancy.scope import current_organization_id

CREATED = "inference.deployment.created.v1"
STARTED = "inference.deployment.started.v1"
STOPPED = "inference.deployment.stopped.v1"
READY = "inference.deployment.ready.v1"
FAILED = "inference.deployment.failed.v1"
OUTCOMES = {DeploymentState.READY.value: READY, DeploymentState.FAILED.value: FAILED}
REBASED = "inference.deployment.rebased.v1"
LOST = "inference.deployment.lost.v1"
CHANGED = "inference.deployment.changed.v1"
CACHE_CLEARED = "inference.cache.cleared.v1"


def tell(name: str, deployment: Deployment) -> None:
    """Say what happened to a deployment; consoles read it again, the snapshot follows."""
    version_id = deployment.model_version_id
    emit(
        Happening(
            name=name,
            aggregate_id=deployment.pk,
            project_id=deployment.project_id,
            resource="deployment",
            resource_id=deployment.public_id,
            payload={
                "deployment_id": str(deployment.pk),
                "model_version_id": str(version_id) if version_id else None,
                "alias": deployment.alias,
                "error": deployment.error or None,
            },
        )
    )


def tell_cleared(generation: int) -> None:
    """Say that the current organization's cache was emptied; the gateways follow."""
    organization_id = current_organization_id()
    emit(
        Happening(
            name=CACHE_CLEARED,
            aggregate_id=organization_id,
            resource="cache",
            resource_id=ids.render("org", organization_id),
            payload={"generation": generation},
        )
    )
