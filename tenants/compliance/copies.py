"""When an export's file goes: its days are over, or somebody does not want it any more."""

from uuid import UUID

from django.db.models.functions import Now

from kernel.storage import objects
from kernel.tenancy.scope import acting_for
from tenants.compliance.models import Export, ExportState


def expire(export: Export) -> bool:
    """Let go of an export's file; its bytes go before the row forgets them. Raises `StorageUnavailable`."""
    if not export.object_key:
        return False
    objects.delete(export.organization_id, export.object_key)
    rows = Export.objects.filter(pk=export.pk, state=ExportState.READY)
    return bool(rows.update(state=ExportState.EXPIRED, object_key=""))


def expire_overdue(organization_id: UUID) -> int:
    """Let go of the files whose days are over; answers how many. Raises `StorageUnavailable`."""
    with acting_for(organization_id):
        over = list(Export.objects.filter(state=ExportState.READY, expires_at__lt=Now()))
    for export in over:
        with acting_for(organization_id):
            expire(export)
    return len(over)
