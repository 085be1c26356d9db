"""Files that go by themselves once their time is over."""

from uuid import UUID

import structlog
from django.db.models import Q
from django.db.models.functions import Now

from kernel.errors import DomainError
from kernel.tenancy.scope import across_tenants, acting_for
from tenants.datasets.models import File
from tenants.datasets.services import delete_file

BATCH = 100

log = structlog.get_logger()


def delete_expired() -> int:
    """Delete every file that has expired, as a person would; answers how many. What is held stays."""
    over = Q(expires_at__lt=Now(), deleted_at=None)
    deleted, after = 0, UUID(int=0)
    while True:
        with across_tenants():
            found = list(File.objects.filter(over, pk__gt=after).order_by("pk")[:BATCH])
        deleted += sum(_deleted(file) for file in found)
        if len(found) < BATCH:
            return deleted
        after = found[-1].pk


def _deleted(file: File) -> bool:
    try:
        with acting_for(file.organization_id):
            delete_file(file)
    except DomainError as fault:
        # Under a legal hold, or deleted meanwhile.
        log.info("file.stays", file_id=str(file.pk), code=fault.code)
        return False
    return True
