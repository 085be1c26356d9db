"""The audit log's table: append-only, even for the application."""

from typing import Any, ClassVar

from django.db import models
from django.db.models.functions import Now

from kernel.ports.holdings import Erasure, Holding
from kernel.tenancy.models import TenantOwned


class AuditEntry(TenantOwned):
    """Who (`actor`) did what (`action`) on what (`target`), from where, with which outcome.

    `details` says what changed, without secrets and without content.
    """

    holding: ClassVar[Holding] = Holding(
        kind="audit log",
        erased=Erasure.KEPT,
        person="actor",
        person_as="user",
        because="What was done must stay provable; the entries hold ids and no content.",
    )

    OUTCOMES = [("allowed", "allowed"), ("denied", "denied")]

    occurred_at = models.DateTimeField(db_default=Now())
    actor = models.CharField(max_length=60)
    action = models.CharField(max_length=60)
    target = models.CharField(max_length=60)
    outcome = models.CharField(max_length=10, choices=OUTCOMES)
    address = models.CharField(max_length=45, blank=True)
    request_id = models.CharField(max_length=60, blank=True)
    details: "models.JSONField[Any, Any]" = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["organization_id", "occurred_at"], name="audit_entry_by_time")]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.target}: {self.outcome}"
