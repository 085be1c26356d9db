"""The worker's doors to what REST surfaces share."""

from celery import shared_task

from kernel.api import idempotency


@shared_task(name="kernel.api.tasks.prune_kept_answers")
def prune_kept_answers() -> None:
    """Forget the answers that are no longer given again."""
    idempotency.prune()
