"""Usage: one record for each request that reached a model, and the totals that are read."""

from typing import ClassVar

from django.db import models

from kernel.ports.holdings import Erasure, Holding, Keeping
from kernel.tenancy.models import TenantOwned


class UsageRecord(TenantOwned):
    """What one request used. Its `id` is the request's id, so it can be stored once only.

    The table is partitioned by the range of that id, which is a UUIDv7 and so goes by time. Counts are
    tokens. Other rows are named by plain ids: a record outlives the key, model or person it names.

    `cost_microunits` is what it came to at the price of its moment; None, until the totals are reconciled,
    on records from before costs were kept. The columns from `permission` on say why it was served so; what
    nobody told is empty.
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
    cost_microunits = models.BigIntegerField(null=True)
    batch = models.BooleanField(default=False, db_default=False)
    permission = models.CharField(max_length=100, blank=True, default="", db_default="")
    closest_limit = models.CharField(max_length=100, blank=True, default="", db_default="")
    cache = models.CharField(max_length=10, blank=True, default="", db_default="")
    route = models.CharField(max_length=100, blank=True, default="", db_default="")
    guardrail = models.CharField(max_length=100, blank=True, default="", db_default="")
    canary = models.CharField(max_length=50, blank=True, default="", db_default="")

    class Meta:
        indexes = [
            models.Index(fields=["organization_id", "project_id", "id"], name="usage_by_project"),
            models.Index(fields=["organization_id", "started_at"], name="usage_by_time"),
        ]

    def __str__(self) -> str:
        return f"usage of {self.id}"


class Grain(models.TextChoices):
    """How much time one total covers, in the words of OpenAI's API."""

    MINUTE = "1m"
    HOUR = "1h"
    DAY = "1d"


class Family(models.TextChoices):
    """What kind of request a total counts, as OpenAI's usage API divides them."""

    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    MODERATIONS = "moderations"


class UsageBucket(TenantOwned):
    """What was used in one minute, hour or day (UTC) from `start` on, by one caller of one model.

    Partitioned by `grain`, so that the few rows of days lie together whatever the minutes are. `id` is made
    of the columns that the total is for (`inference.usage.cells`): adding to it finds it by its key, and it
    stays the same when the person is taken out. `user_id` is who asked, or who made the key that did.
    `records_gone` marks the totals of days whose records went by retention: they cannot be added up again.
    """

    holding: ClassVar[Holding] = Holding(
        kind="usage totals", erased=Erasure.CLEARED, person="user_id", cleared=("user_id",)
    )

    grain = models.CharField(max_length=2, choices=Grain.choices)
    start = models.DateTimeField()
    family = models.CharField(max_length=20, choices=Family.choices)
    project_id = models.UUIDField()
    key_id = models.UUIDField(null=True)
    user_id = models.UUIDField(null=True)
    model = models.CharField(max_length=250)
    batch = models.BooleanField(default=False)
    requests = models.BigIntegerField()
    prompt_tokens = models.BigIntegerField()
    cached_prompt_tokens = models.BigIntegerField()
    completion_tokens = models.BigIntegerField()
    cost_microunits = models.BigIntegerField()
    records_gone = models.BooleanField(default=False, db_default=False)

    class Meta:
        indexes = [models.Index(fields=["organization_id", "grain", "start"], name="usage_by_grain")]

    def __str__(self) -> str:
        return f"usage of {self.grain} from {self.start}"
