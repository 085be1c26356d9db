"""The worker's doors to conversations."""

from celery import shared_task

from inference.chat import settlement


@shared_task(name="inference.chat.tasks.settle_interrupted_answers")
def settle_interrupted_answers() -> None:
    """Mark answers whose web process died."""
    settlement.sweep()
