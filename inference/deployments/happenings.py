"""What is told of deployments; consoles read them again, the snapshot and the jobs follow."""

from inference.deployments.models import Deployment, DeploymentState
from kernel.events.outbox import Happening, emit

CREATED = "inference.deployment.created.v1"
STARTED = "inference.deployment.started.v1"
STOPPED = "inference.deployment.stopped.v1"
READY = "inference.deployment.ready.v1"
FAILED = "inference.deployment.failed.v1"
OUTCOMES = {DeploymentState.READY.value: READY, DeploymentState.FAILED.value: FAILED}
REBASED = "inference.deployment.rebased.v1"
LOST = "inference.deployment.lost.v1"


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
