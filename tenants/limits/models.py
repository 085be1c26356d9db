"""What the operator offers (plans, prices, sign-up), and what an organization allows itself and has used."""

from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from kernel import ids
from kernel.ports.holdings import Erasure, Holding
from kernel.tenancy.models import TenantOwned
from tenants.limits.kinds import Kind, Scope

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


class Limit(TenantOwned):
    """A bound that an organization set itself, on all of it or on one project, group, member or key.

    `subject_id` names which one (None for the organization; a member is named by the person's id). `model`
    is the alias to which a rate of a project is confined, empty for all models.
    """

    holding: ClassVar[Holding] = Holding(kind="limits", erased=Erasure.DELETED, person="subject_id")

    scope = models.CharField(max_length=20, choices=[(scope.value, scope.value) for scope in Scope])
    subject_id = models.UUIDField(null=True)
    model = models.CharField(max_length=250, blank=True, default="")
    kind = models.CharField(max_length=40, choices=[(kind.value, kind.value) for kind in Kind])
    value = models.BigIntegerField()
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id", "scope", "subject_id", "model", "kind"],
                name="limit_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(condition=models.Q(value__gte=0), name="limit_not_negative"),
            models.CheckConstraint(
                condition=models.Q(scope="organization") ^ models.Q(subject_id__isnull=False),
                name="limit_names_its_subject",
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render("limit", self.id)


class Use(TenantOwned):
    """What was used of a kind in one day or month, by whom and where: the roll-up behind limits by period.

    Other rows are named by plain ids: what was used outlives the key, member or project.
    """

    holding: ClassVar[Holding] = Holding(
        kind="use",
        erased=Erasure.KEPT,
        person="user_id",
        because="Limits and bills are counted by it; it names an id, which leads to nobody afterwards.",
    )

    kind = models.CharField(max_length=40)
    period = models.DateField()
    project_id = models.UUIDField()
    user_id = models.UUIDField(null=True)
    key_id = models.UUIDField(null=True)
    amount = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id", "kind", "period", "project_id", "user_id", "key_id"],
                name="use_once",
                nulls_distinct=False,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} of {self.kind} in {self.period}"


class StorageReservation(TenantOwned):
    """Bytes that an upload under way will take. One whose process died no longer counts after an hour."""

    holding: ClassVar[Holding] = Holding(
        kind="storage reservations", erased=Erasure.DELETED, person="user_id"
    )

    project_id = models.UUIDField()
    user_id = models.UUIDField(null=True)
    bytes = models.BigIntegerField()
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.bytes} bytes until {self.expires_at}"


class SpendAlert(TenantOwned):
    """Who is told by e-mail when a month's spend passes an amount, of one project or of all.

    `told_for` is the month in which they were told last.
    """

    holding: ClassVar[Holding] = Holding(
        kind="spend alerts", erased=Erasure.CLEARED, address="recipients__contains", cleared=("recipients",)
    )

    project_id = models.UUIDField(null=True)
    threshold_microunits = models.BigIntegerField()
    recipients: "ArrayField[Any, Any]" = ArrayField(models.EmailField(max_length=254))
    subject_prefix = models.CharField(max_length=200, blank=True)
    told_for = models.DateField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render("alert", self.id)


class ReachedThreshold(TenantOwned):
    """That a share of a limit was used in a period, so that it is told once. `percent` is 50, 80 or 100."""

    holding: ClassVar[Holding] = Holding(
        kind="reached thresholds", erased=Erasure.DELETED, person="subject_id"
    )

    scope = models.CharField(max_length=20)
    subject_id = models.UUIDField(null=True)
    kind = models.CharField(max_length=40)
    period = models.DateField()
    percent = models.PositiveSmallIntegerField()
    reached_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id", "scope", "subject_id", "kind", "period", "percent"],
                name="threshold_told_once",
                nulls_distinct=False,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.percent} % of {self.kind} in {self.period}"
