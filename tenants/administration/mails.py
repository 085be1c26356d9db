"""What people are told by e-mail about an organization that they may join."""

from uuid import UUID

from django.core.mail import EmailMessage

from kernel.tenancy.scope import acting_for
from tenants.access.services.invitations import link_of, pending
from tenants.organizations.models import Organization

SUBJECT = "You are invited to {organization} on Loomworks"
TEXT = """\
{inviter} invites you to join {organization} on Loomworks.

To accept, open this address before {until:%d %B %Y, %H:%M} UTC:

{link}

It can be used once, with the address to which this message was sent. If you expected no invitation, do
nothing.
"""


def send_invitation(organization_id: UUID, invitation_id: UUID) -> None:
    """Send an invitation that is still open; one that was withdrawn, replaced or used meanwhile is not sent.

    The link is made from the row here, so that it travels in no event and no task.
    """
    message = _written(organization_id, invitation_id)
    if message is not None:
        message.send()


def _written(organization_id: UUID, invitation_id: UUID) -> EmailMessage | None:
    with acting_for(organization_id):
        invitation = pending(invitation_id)
        if invitation is None:
            return None
        # A name is one line of a header here.
        organization = " ".join(Organization.objects.get(pk=organization_id).name.split())
        inviter = invitation.created_by
        text = TEXT.format(
            inviter=" ".join(inviter.name.split()) or inviter.email if inviter else "An administrator",
            organization=organization,
            until=invitation.expires_at,
            link=link_of(invitation),
        )
        return EmailMessage(SUBJECT.format(organization=organization), text, to=[invitation.email])
