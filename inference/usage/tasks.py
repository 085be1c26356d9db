"""The worker's doors to usage."""

from celery import shared_task

from inference.usage import execution


@shared_task(name="inference.usage.tasks.drain")
def drain() -> None:
    """Move usage from the stream to the database."""
    execution.drain()


@shared_task(name="inference.usage.tasks.make_partitions")
def make_partitions() -> None:
    """Make the months' partitions before they are needed."""
    execution.make_partitions()
