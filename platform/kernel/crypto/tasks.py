"""The worker's door to keys."""

import structlog
from celery import shared_task

from kernel.crypto import renewal
from kernel.crypto.errors import KeyUnavailable

log = structlog.get_logger()


@shared_task(name="kernel.crypto.tasks.settle_keys")
def settle_keys() -> None:
    """Make unreadable in backups too what was destroyed since."""
    for organization_id in renewal.due():
        try:
            renewal.settle(organization_id)
        except KeyUnavailable:
            log.warning("keys.provider_away", organization_id=str(organization_id))
