"""The worker's doors to administration."""

from uuid import UUID

from celery import shared_task

from kernel.events.subscribers import Event, subscriber
from tenants.access.services import invitations
from tenants.administration import closing, mails, notices
from tenants.limits.services import thresholds
from tenants.organizations.services import encryption, lifecycle, reencryption

# `smtplib`'s faults are among the operating system's.
MAIL_AWAY = (OSError,)


@subscriber(invitations.CREATED, holds_scope=False, tried_again_after=MAIL_AWAY)
def send_invitation(event: Event, *, organization_id: UUID) -> None:
    """E-mail an invitation that was just made."""
    mails.send_invitation(organization_id, event.aggregate_id)


@subscriber(thresholds.REACHED, holds_scope=False, tried_again_after=MAIL_AWAY)
def send_limit_reached(event: Event, *, organization_id: UUID) -> None:
    """E-mail that a share of a limit is used."""
    notices.send_limit_reached(organization_id, event.payload)


@subscriber(thresholds.SPENT, holds_scope=False, tried_again_after=MAIL_AWAY)
def send_spend_alert(event: Event, *, organization_id: UUID) -> None:
    """E-mail that a month's spend passed an amount."""
    notices.send_spend_alert(organization_id, UUID(event.payload["alert_id"]))


@subscriber(lifecycle.CLOSING, holds_scope=False, tried_again_after=MAIL_AWAY)
def send_closing(event: Event, *, organization_id: UUID) -> None:
    """E-mail that the organization will be closed."""
    notices.send_closing(organization_id)


@shared_task(name="tenants.administration.tasks.erase_closed_organizations")
def erase_closed_organizations() -> None:
    """Erase what is left of organizations whose grace period is over."""
    closing.erase_due()


@shared_task(name="tenants.administration.tasks.watch_own_keys")
def watch_own_keys() -> None:
    """See whether the keys that organizations keep themselves may still be used."""
    encryption.watch_all()


@shared_task(name="tenants.administration.tasks.take_up_re_encryptions")
def take_up_re_encryptions() -> None:
    """Go on with re-encryptions that nobody works on."""
    reencryption.take_up_what_waits()


@subscriber(reencryption.DUE, queue="data", holds_scope=False)
def re_encrypt(event: Event, *, organization_id: UUID) -> None:
    """Work on a re-encryption for a while."""
    reencryption.take_a_turn(organization_id)
