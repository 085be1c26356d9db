"""What the operator offers: plans, the price book, how people may sign up; and the platform's own trail."""

from typing import Any

from django.db import models
from django.db.models.functions import Now

from kernel import ids

UNLIMITED_PLAN = "self_hosted"
FREE_PLAN = "free"


class Plan(models.Model):
    """What organizations may use. `seats` None is without bound; `limits` maps kinds to values."""

    name = models.SlugField(max_length=50, primary_key=True)
    title = models.CharField(max_length=100)
    seats = models.PositiveIntegerField(null=True)
    limits: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.name


class SignUpMode(models.TextChoices):
    """Who may make an organization: anybody, whoever was invited by the operator's people, or nobody."""

    OPEN = "open"
    INVITE_ONLY = "invite_only"
    OFF = "off"


class PlatformPolicy(models.Model):
    """One row: how people sign up, which plan they try, and how many may begin in a day."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    sign_up_mode = models.CharField(max_length=20, choices=SignUpMode.choices, default=SignUpMode.OPEN)
    trial_plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="+", default=FREE_PLAN)
    trials_per_day = models.PositiveIntegerField(null=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_platform_policy")]

    def __str__(self) -> str:
        return self.sign_up_mode


class Price(models.Model):
    """What a model costs from a moment on, in micro-units of the currency (a dollar has 1,000,000).

    Tokens are priced by the million, so that a small model's price is a whole number too. `model` is the
    name of a deployment's alias or of its base; an alias's own price goes before its base's.
    """

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    model = models.CharField(max_length=250)
    currency = models.CharField(max_length=3, default="USD")
    input_microunits_per_million_tokens = models.BigIntegerField()
    output_microunits_per_million_tokens = models.BigIntegerField()
    training_microunits_per_million_tokens = models.BigIntegerField(default=0)
    training_microunits_per_minute = models.BigIntegerField(default=0)
    valid_from = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["model", "valid_from"], name="one_price_at_a_time"),
            models.CheckConstraint(
                condition=models.Q(
                    input_microunits_per_million_tokens__gte=0,
                    output_microunits_per_million_tokens__gte=0,
                    training_microunits_per_million_tokens__gte=0,
                    training_microunits_per_minute__gte=0,
                ),
                name="price_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render("price", self.id)


class PlatformEntry(models.Model):
    """The platform's own audit trail: what operators did, and which organizations were erased."""

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    occurred_at = models.DateTimeField(db_default=Now())
    actor = models.CharField(max_length=60)
    action = models.CharField(max_length=60)
    target = models.CharField(max_length=60)
    details: "models.JSONField[Any, Any]" = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.target}"
