"""The worker's doors to administration."""

from uuid import UUID

from kernel.events.subscribers import Event, subscriber
from tenants.access.services import invitations
from tenants.administration import mails


@subscriber(invitations.CREATED, holds_scope=False)
def send_invitation(event: Event, *, organization_id: UUID) -> None:
    """E-mail an invitation that was just made."""
    mails.send_invitation(organization_id, event.aggregate_id)
