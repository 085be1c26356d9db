"""Who is charged for a usage record, and for which model."""

from collections.abc import Sequence
from uuid import UUID

from inference.deployments.models import Deployment
from inference.usage.models import UsageRecord
from tenants.access.models import ApiKey
from tenants.limits.services.spend import Charge


def charges_of(records: Sequence[UsageRecord]) -> list[Charge]:
    """The charges of records of the current organization. What a key used counts as its maker's too."""
    makers = _makers({record.key_id for record in records if record.key_id})
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
            input_tokens=record.prompt_tokens,
            output_tokens=record.completion_tokens,
        )
        for record in records
    ]


def _makers(key_ids: set[UUID]) -> dict[UUID, UUID | None]:
    keys = ApiKey.objects.filter(pk__in=key_ids, service_account=None)
    return dict(keys.values_list("pk", "created_by_id"))
