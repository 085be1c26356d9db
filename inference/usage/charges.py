"""Who is charged for a usage record, and for which model."""

from collections.abc import Sequence
from uuid import UUID

from inference.deployments.models import Deployment
from inference.usage.cells import HIT
from inference.usage.models import UsageRecord
from tenants.access.models import ApiKey
from tenants.limits.services.spend import Charge


def charges_of(records: Sequence[UsageRecord]) -> list[Charge]:
    """The charges of records of the current organization, in their order.

    What a key used counts as its maker's too. An answer from the cache costs no tokens.
    """
    makers = makers_of({record.key_id for record in records if record.key_id})
    bases: dict[UUID, str] = dict(
        Deployment.objects.filter(pk__in={record.deployment_id for record in records}).values_list(
            "pk", "base_model"
        )
    )
    return [
        Charge(
            at=record.started_at,
            project_id=record.project_id,
            user_id=record.user_id or (makers.get(record.key_id) if record.key_id else None),
            key_id=record.key_id,
            model=record.model,
            base_model=bases.get(record.deployment_id, ""),
            input_tokens=0 if record.cache == HIT else record.prompt_tokens,
            output_tokens=0 if record.cache == HIT else record.completion_tokens,
        )
        for record in records
    ]


def makers_of(key_ids: set[UUID]) -> dict[UUID, UUID | None]:
    """Who made these keys; nobody stands behind those of service accounts."""
    keys = ApiKey.objects.filter(pk__in=key_ids, service_account=None)
    return dict(keys.values_list("pk", "created_by_id"))
