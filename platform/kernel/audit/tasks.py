"""The worker's door to the audit log."""

from celery import shared_task

from kernel.audit import sealing


@shared_task(name="kernel.audit.tasks.note_forgotten_entries")
def note_forgotten_entries() -> None:
    """The net under the sealer."""
    sealing.note_forgotten()
