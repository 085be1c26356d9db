"""The worker's doors to deployments and the serving snapshot."""

from uuid import UUID

from celery import shared_task

from inference.deployments import caches, execution, happenings, reconciliation, services, snapshot
from kernel.events.subscribers import Event, subscriber
from tenants.access.services import grants, keys, roles
from tenants.limits.services import bounds
from tenants.organizations.services import encryption, lifecycle, projects
from training.registry.models import ModelVersion

CHANGES = (
    happenings.CREATED,
    happenings.STARTED,
    happenings.STOPPED,
    happenings.READY,
    happenings.FAILED,
    happenings.LOST,
    happenings.REBASED,
    happenings.CHANGED,
)
ORGANIZATION_CHANGES = (
    lifecycle.CHANGED,
    lifecycle.SUSPENDED,
    lifecycle.RESUMED,
    lifecycle.CLOSING,
    lifecycle.REOPENED,
    lifecycle.CLOSED,
    encryption.REFUSED,
    encryption.RESTORED,
)
SECRET_CHANGES = (encryption.ROTATED, encryption.REFUSED, encryption.RESTORED, lifecycle.CLOSED)


@subscriber(keys.CREATED, keys.CHANGED, keys.REVOKED, holds_scope=False)
def publish_api_key(event: Event, *, organization_id: UUID) -> None:
    """Tell the gateways of a key that was made, changed or revoked."""
    snapshot.publish_key(organization_id, event.aggregate_id)


@subscriber(roles.STANDING_CHANGED, holds_scope=False)
def publish_keys_of_people(event: Event, *, organization_id: UUID) -> None:
    """What members may do has changed, and so has what their keys may do."""
    people = event.payload.get(roles.PEOPLE)
    only = None if people is None else [UUID(person) for person in people]
    snapshot.publish_keys_of_people(organization_id, only)


@subscriber(bounds.CHANGED, roles.STANDING_CHANGED, holds_scope=False)
def publish_limits(event: Event, *, organization_id: UUID) -> None:
    """Tell the gateways of an organization's limits, and of who belongs to the groups that have some."""
    snapshot.publish_limits(organization_id)


@subscriber(*ORGANIZATION_CHANGES, holds_scope=False)
def publish_projects(event: Event, *, organization_id: UUID) -> None:
    """An organization was taken out of service, let go on, or keeps something else: tell the gateways."""
    snapshot.publish_projects(organization_id)


@subscriber(*CHANGES, projects.CHANGED, projects.ARCHIVED, grants.RESTRICTED, holds_scope=False)
def publish_project(event: Event, *, organization_id: UUID) -> None:
    """Tell the gateways what a project serves now."""
    if event.project_id is not None:
        snapshot.publish_project(organization_id, event.project_id)


@subscriber(keys.CREATED, holds_scope=False)
def begin_cache(event: Event, *, organization_id: UUID) -> None:
    """Whoever makes a key is going to ask: from now on their answers can be kept."""
    caches.begin(organization_id)


@subscriber(*SECRET_CHANGES, holds_scope=False)
def publish_cache(event: Event, *, organization_id: UUID) -> None:
    """An organization's key is another one, or may not be used: so is its cache."""
    caches.publish(organization_id)


@subscriber(happenings.CACHE_CLEARED, holds_scope=False)
def empty_cache(event: Event, *, organization_id: UUID) -> None:
    """Tell the gateways of the new generation, and drop what nobody can read any more."""
    caches.publish(organization_id)
    caches.drop_entries(organization_id)


@subscriber("tenants.erasure.completed.v1")
def clear_cache_of_the_erased(event: Event) -> None:
    """Nobody can look for somebody in what is kept sealed, so all of it goes."""
    services.clear_cache()


@subscriber("tenants.project.created.v1")
def deploy_base_model(event: Event) -> None:
    """A new project can talk to the base model at once."""
    services.deploy_base_model(event.aggregate_id)


@subscriber("training.model_version.registered.v1")
def deploy_model_version(event: Event) -> None:
    """A new model version gets its alias."""
    version_id = UUID(event.payload["model_version_id"])
    services.deploy_model_version(ModelVersion.objects.select_related("base_model").get(pk=version_id))


@subscriber(happenings.CREATED, happenings.STARTED, holds_scope=False)
def load_deployment(event: Event, *, organization_id: UUID) -> None:
    """Bring a deployment into service."""
    execution.load(organization_id, event.aggregate_id)


@shared_task(name="inference.deployments.tasks.reconcile")
def reconcile() -> None:
    """What should run against what does."""
    reconciliation.reconcile()


@shared_task(name="inference.deployments.tasks.publish_snapshot")
def publish_snapshot() -> None:
    """The whole snapshot, as a net under the events."""
    snapshot.publish_everything()
