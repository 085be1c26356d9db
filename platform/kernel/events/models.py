"""The transactional outbox: what happened, waiting to be told."""

from typing import Any, ClassVar

from django.db import models
from django.db.models.functions import Now

from kernel.ports.holdings import Holding, Keeping, of_nobody
from kernel.tenancy.models import TenantOwned


class OutboxEvent(TenantOwned):
    """One thing that happened, written in the same transaction as the change itself.

    `resource` and `resource_id` name what a console should read again; empty when nobody looks at it.
    """

    holding: ClassVar[Holding] = of_nobody("events", kept=Keeping(since="dispatched_at", days=30, at_most=90))

    sequence = models.BigIntegerField(editable=False)
    name = models.CharField(max_length=100)
    aggregate_id = models.UUIDField()
    project_id = models.UUIDField(null=True)
    resource = models.CharField(max_length=50, blank=True)
    resource_id = models.CharField(max_length=60, blank=True)
    payload: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())
    dispatched_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["sequence"], name="events_outbox_waiting", condition=models.Q(dispatched_at=None)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.id}"
