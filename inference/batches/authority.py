"""As whom the requests of a batch are made: whoever made it, with what they may do now."""

from django.db.models import Q
from django.db.models.functions import Now

from inference.batches.lines import Fault
from inference.batches.models import Batch
from inference.deployments.models import Deployment
from inference.gateway.contract import Principal
from kernel.errors import DomainError
from tenants.access.models import ApiKey
from tenants.access.permissions import Permission
from tenants.access.powers import NOTHING, KeyOwnerInactive, maker_id_of, makers, powers_of
from tenants.access.principal import Principal as Member
from tenants.access.restrictable import visible
from tenants.organizations.models import Organization, Project
from tenants.organizations.refusals import refusal_of

NEEDED = (Permission.BATCH_WRITE, Permission.INFERENCE_COMPLETE)


class NoAuthority(Exception):
    """Whoever made the batch may not make its requests any more."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.code)
        self.fault = fault


def principal_of(batch: Batch) -> Principal:
    """The gateway's caller for a batch of the current organization. Raises `NoAuthority`."""
    return _of_key(batch) if batch.key_id else _of_member(batch)


def _of_key(batch: Batch) -> Principal:
    living = ApiKey.objects.filter(Q(expires_at=None) | Q(expires_at__gt=Now()), revoked_at=None)
    key: ApiKey | None = living.filter(pk=batch.key_id).first()
    if key is None:
        raise NoAuthority(
            Fault("invalid_api_key", "The API key that made the batch was revoked, or has expired.")
        )
    powers = powers_of([key])[key.pk]
    _require_none(powers.refusal or powers.refusals.get(batch.project_id))
    permissions = powers.in_projects.get(batch.project_id, NOTHING)
    _require(permissions)
    maker_id = maker_id_of(key)
    return Principal(
        organization_id=str(batch.organization_id),
        project_id=str(batch.project_id),
        key_id=str(key.pk),
        user_id=None,
        permissions=frozenset(permissions),
        maker_id=str(maker_id) if maker_id else None,
        models=frozenset(key.allowed_models),
        batch=True,
    )


def _of_member(batch: Batch) -> Principal:
    project = Project.objects.get(pk=batch.project_id)
    _require_none(refusal_of(Organization.objects.get(pk=batch.organization_id), project))
    maker = makers({batch.created_by_id}).get(batch.created_by_id) if batch.created_by_id else None
    if maker is None:
        raise NoAuthority(
            Fault(
                KeyOwnerInactive.code,
                "The member who made the batch is no longer active in the organization.",
            )
        )
    permissions = maker.permissions_in(batch.project_id)
    _require(permissions)
    member = Member(
        batch.organization_id, batch.project_id, permissions=permissions, user_id=batch.created_by_id
    )
    return Principal(
        organization_id=str(batch.organization_id),
        project_id=str(batch.project_id),
        key_id=None,
        user_id=str(batch.created_by_id),
        permissions=frozenset(permissions),
        models=_models_of(member),
        batch=True,
    )


def _models_of(member: Member) -> frozenset[str]:
    """The aliases of the deployments that are not kept from the member; the gateway knows none of them."""
    reached = visible(Deployment.objects.all(), member, Permission.CHAT_USE)
    models = frozenset(reached.values_list("alias", flat=True))
    if not models:
        raise NoAuthority(Fault("model_not_found", "No model of the project is open to the batch's maker."))
    return models


def _require_none(refusal: DomainError | None) -> None:
    if refusal is not None:
        raise NoAuthority(Fault(refusal.code, refusal.message))


def _require(permissions: frozenset[Permission]) -> None:
    for needed in NEEDED:
        if needed not in permissions:
            raise NoAuthority(
                Fault(
                    "permission_denied",
                    f"Whoever made the batch no longer has the permission '{needed}' that it needs.",
                )
            )
