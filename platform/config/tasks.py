"""Housekeeping of what stands below every room."""

from celery import shared_task
from celery.signals import worker_init

from kernel.crypto import keys, signing
from kernel.storage import objects


@shared_task(name="config.tasks.abandon_uploads")
def abandon_uploads() -> None:
    """Remove the parts of uploads that a crash left unfinished."""
    objects.abandon_uploads()


@worker_init.connect
def refuse_unusable_keys(**_: object) -> None:
    """A key file that must not be used stops the worker's start, not its first task."""
    keys.provider()
    signing.signing_keys()
