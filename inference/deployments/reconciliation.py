"""The reconciler: what should run against what does run, every few seconds."""

from dataclasses import dataclass
from uuid import UUID

import structlog
from django.db.models import Q
from django.db.models.functions import Now

from inference.deployments import execution, snapshot
from inference.deployments.drivers.interface import Driver, Fleet, PodAway
from inference.deployments.happenings import LOST, REBASED, tell
from inference.deployments.models import Deployment, DeploymentState
from kernel.tenancy.scope import across_tenants, acting_for
from training.registry.models import BaseModel

log = structlog.get_logger()


@dataclass(frozen=True)
class Wanted:
    """One deployment that should answer, and the identity it must answer as."""

    organization_id: UUID
    deployment_id: UUID
    state: str
    identity: str


def reconcile() -> None:
    """Bring the pod to what is wanted, and the snapshot back where Valkey lost it."""
    if not snapshot.is_ready():
        snapshot.publish_everything()
    _follow_bases()
    pod = execution.driver()
    try:
        fleet = pod.look()
    except PodAway as fault:
        _wait_for_the_pod(fault)
        return
    # The pod was looked at first: whatever is pushed from now on is not taken for unwanted.
    wanted = _wanted()
    for one in wanted:
        if one.state == DeploymentState.READY:
            if not fleet.serves(one.identity):
                _note_lost(one)
                execution.load(one.organization_id, one.deployment_id)
        else:
            execution.load(one.organization_id, one.deployment_id)
    _drop_unwanted(pod, fleet, {one.identity for one in wanted})


def _follow_bases() -> None:
    """Deployments of a base itself take its new digest when an upgrade prepared it anew."""
    with across_tenants():
        stale = [
            (row.organization_id, row.pk, digest)
            for name, digest in BaseModel.objects.values_list("name", "digest")
            for row in Deployment.objects.filter(base_model=name, model_version=None).exclude(digest=digest)
        ]
    for organization_id, deployment_id, digest in stale:
        with acting_for(organization_id):
            Deployment.objects.filter(pk=deployment_id).update(digest=digest, updated_at=Now())
            tell(REBASED, Deployment.objects.get(pk=deployment_id))


def _wanted() -> list[Wanted]:
    with across_tenants():
        bases = dict(BaseModel.objects.values_list("name", "digest"))
        rows = list(
            Deployment.objects.filter(
                Q(state__in=[DeploymentState.LOADING, DeploymentState.READY])
                | Q(state=DeploymentState.FAILED, fault__in=execution.TRANSIENT)
            ).order_by("pk")
        )
    return [
        Wanted(
            organization_id=row.organization_id,
            deployment_id=row.pk,
            state=row.state,
            identity=f"adapter-{row.digest}"
            if row.model_version_id
            else f"base-{bases.get(row.base_model, row.digest)}",
        )
        for row in rows
    ]


def _wait_for_the_pod(fault: PodAway) -> None:
    log.warning("pod.unreachable", reason=str(fault))
    for one in _wanted():
        # What was ready stays so: the pod keeps its adapters on disk, and the gateway says what it meets.
        if one.state == DeploymentState.LOADING:
            execution.note_failure(one.organization_id, one.deployment_id, fault)


def _note_lost(one: Wanted) -> None:
    with acting_for(one.organization_id):
        changed = Deployment.objects.filter(pk=one.deployment_id, state=DeploymentState.READY).update(
            state=DeploymentState.LOADING, updated_at=Now(), attempts=0, claimed_until=None
        )
        if changed:
            tell(LOST, Deployment.objects.get(pk=one.deployment_id))
    log.warning("deployment.lost", deployment_id=str(one.deployment_id), identity=one.identity)


def _drop_unwanted(pod: Driver, fleet: Fleet, wanted: set[str]) -> None:
    for adapter_id in sorted(fleet.adapters - wanted):
        pod.drop(adapter_id)
        log.info("adapter.dropped", adapter_id=adapter_id)
