"""Usage: one record for each request that reached a model."""

from typing import ClassVar

from django.db import models

from kernel.ports.holdings import Erasure, Holding, Keeping
from kernel.tenancy.models import TenantOwned


class UsageRecord(TenantOwned):
    """What one request used. Its `id` is the request's id, so it can be stored once only.

    The table is partitioned by the range of that id, which is a UUIDv7 and so goes by time. Counts are
    tokens. Other rows are named by plain ids: a record outlives the key, model or person it names.
    """

    holding: ClassVar[Holding] = Holding(
        kind="usage records",
        erased=Erasure.CLEARED,
        person="user_id",
        cleared=("user_id",),
        # Bills are made of them.
        kept=Keeping(since="started_at", at_least=90),
    )

    project_id = models.UUIDField()
    key_id = models.UUIDField(null=True)
    user_id = models.UUIDField(null=True)
    deployment_id = models.UUIDField()
    model_version_id = models.UUIDField(null=True)
    model = models.CharField(max_length=250)
    digest = models.CharField(max_length=64)
    surface = models.CharField(max_length=50)
    prompt_tokens = models.BigIntegerField()
    completion_tokens = models.BigIntegerField()
    status = models.CharField(max_length=20)
    finish_reason = models.CharField(max_length=20, blank=True)
    started_at = models.DateTimeField()
    first_token_ms = models.FloatField(null=True)
    duration_ms = models.FloatField()

    class Meta:
        indexes = [models.Index(fields=["organization_id", "project_id", "id"], name="usage_by_project")]

    def __str__(self) -> str:
        return f"usage of {self.id}"
