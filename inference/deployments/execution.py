"""What workers do for deployments: load a model onto the pod, verify who answers, say how it went."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db.models import F, Q
from django.db.models.functions import Now

from inference.deployments.drivers.embedded import EmbeddedDriver
from inference.deployments.drivers.interface import Driver, LoadFault
from inference.deployments.happenings import FAILED, READY, tell
from inference.deployments.models import Deployment, DeploymentState
from kernel import ids
from kernel.audit.log import record
from kernel.errors import DomainError, Unavailable
from kernel.storage import objects
from kernel.tenancy.scope import acting_for
from training.registry.models import BaseModel

LEASE = timedelta(seconds=150)
# At one attempt every 15 seconds, five minutes.
MAX_ATTEMPTS = 20
TRANSIENT = ("pod_unreachable", "base_model_missing", "artifact_unavailable")

log = structlog.get_logger()


class BaseModelMissing(LoadFault):
    """The base model is not prepared on this installation yet."""

    code, transient = "base_model_missing", True


class ArtifactUnavailable(LoadFault):
    """The object store or the keeper of keys does not answer."""

    code, transient = "artifact_unavailable", True


class ArtifactUnreadable(LoadFault):
    """The adapter's files are gone, altered, or their key was destroyed."""

    code = "artifact_unreadable"


@dataclass(frozen=True)
class Target:
    """What one load is about; `object_key` is None and `model_version` empty for the base model itself."""

    organization_id: UUID
    deployment_id: UUID
    digest: str
    object_key: str | None
    model_version: str

    @property
    def identity(self) -> str:
        """The name under which the pod must say that it answered."""
        return f"adapter-{self.digest}" if self.object_key else f"base-{self.digest}"


def driver() -> Driver:
    """The driver of this installation."""
    return EmbeddedDriver(settings.POD_URL, settings.POD_KEY)


def load(organization_id: UUID, deployment_id: UUID) -> None:
    """Bring a deployment into service, unless another worker is at it or nobody wants it any more."""
    if not _claim(organization_id, deployment_id):
        return
    try:
        _bring(_target(organization_id, deployment_id))
    except LoadFault as fault:
        note_failure(organization_id, deployment_id, fault)
    else:
        _note_ready(organization_id, deployment_id)


def note_failure(organization_id: UUID, deployment_id: UUID, fault: LoadFault) -> None:
    """Count a failed attempt; a fault that will not pass, or has lasted too long, fails the deployment."""
    with acting_for(organization_id):
        rows = Deployment.objects.filter(pk=deployment_id).exclude(state=DeploymentState.STOPPED)
        deployment = rows.select_for_update().first()
        if deployment is None:
            return
        gives_up = not fault.transient or deployment.attempts + 1 >= MAX_ATTEMPTS
        was_failed = deployment.state == DeploymentState.FAILED
        deployment.state = DeploymentState.FAILED if gives_up else deployment.state
        deployment.fault, deployment.error = fault.code, str(fault)[:500]
        rows.update(
            state=deployment.state,
            fault=deployment.fault,
            error=deployment.error,
            attempts=F("attempts") + 1,
            claimed_until=None,
            updated_at=Now(),
        )
        if gives_up and not was_failed:
            tell(FAILED, deployment)
    log.warning("deployment.load_failed", deployment_id=str(deployment_id), fault=fault.code, final=gives_up)


def _claim(organization_id: UUID, deployment_id: UUID) -> bool:
    with acting_for(organization_id):
        return bool(
            Deployment.objects.filter(pk=deployment_id)
            .filter(Q(claimed_until=None) | Q(claimed_until__lt=Now()))
            .filter(Q(state=DeploymentState.LOADING) | Q(state=DeploymentState.FAILED, fault__in=TRANSIENT))
            .update(claimed_until=Now() + LEASE)
        )


def _target(organization_id: UUID, deployment_id: UUID) -> Target:
    with acting_for(organization_id):
        deployment = Deployment.objects.select_related("model_version").get(pk=deployment_id)
        base = BaseModel.objects.filter(name=deployment.base_model).first()
        if base is None:
            raise BaseModelMissing(f"The base model {deployment.base_model} is not prepared here yet.")
        version = deployment.model_version
        if version is None and deployment.digest != base.digest:
            Deployment.objects.filter(pk=deployment_id).update(digest=base.digest)
        return Target(
            organization_id=organization_id,
            deployment_id=deployment_id,
            digest=version.digest if version else base.digest,
            object_key=version.object_key if version else None,
            model_version=version.public_id if version else "",
        )


def _bring(target: Target) -> None:
    where = driver()
    if target.object_key is not None and not where.look().serves(target.identity):
        with acting_for(target.organization_id):
            deployment = ids.render(Deployment.prefix, target.deployment_id)
            record("model_version.read", target.model_version, deployment=deployment)
        where.push(target.identity, _archive(target.organization_id, target.object_key))
    where.probe(target.identity)


def _archive(organization_id: UUID, object_key: str) -> Iterable[bytes]:
    try:
        yield from objects.get(organization_id, object_key)
    except Unavailable as fault:
        raise ArtifactUnavailable(fault.message) from fault
    except DomainError as fault:
        raise ArtifactUnreadable(fault.message) from fault


def _note_ready(organization_id: UUID, deployment_id: UUID) -> None:
    with acting_for(organization_id):
        changed = Deployment.objects.filter(
            pk=deployment_id, state__in=[DeploymentState.LOADING, DeploymentState.FAILED]
        ).update(
            state=DeploymentState.READY,
            fault="",
            error="",
            attempts=0,
            claimed_until=None,
            updated_at=Now(),
        )
        if changed:
            tell(READY, Deployment.objects.get(pk=deployment_id))
