"""The worker's doors to access."""

from celery import shared_task

from kernel.events.subscribers import Event, subscriber
from tenants.access import notices
from tenants.access.models import ApiKey
from tenants.access.services import leaks, uses


# `smtplib`'s faults are among the operating system's.
@subscriber(leaks.LEAKED, tried_again_after=(OSError,))
def tell_of_leak(event: Event) -> None:
    """Tell a key's owner that its secret was found in public."""
    key = ApiKey.objects.filter(pk=event.aggregate_id).first()
    if key is not None:
        notices.tell_of_leak(key)


@shared_task(name="tenants.access.tasks.write_key_uses")
def write_key_uses() -> None:
    """Write when keys were last used."""
    uses.write_noted()
