"""Where customers want to be told, and what they are told."""

from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from kernel import ids
from kernel.crypto.columns import OpenedText, SealedColumn
from kernel.ports.holdings import Holding, Keeping, of_nobody
from kernel.tenancy.models import TenantOwned


class DisabledBecause(models.TextChoices):
    """Why nothing is sent to an endpoint; empty while something is."""

    ASKED = "asked"
    GONE = "gone"
    FAILING = "failing"


class WebhookEndpoint(TenantOwned):
    """A customer's server that is told of events whose names match one of `patterns`.

    `failing_since` is the first failure after the last success. A secret that was replaced goes on signing
    until `previous_secret_until`. `secret` is `whsec_…` in clear.
    """

    holding: ClassVar[Holding] = of_nobody(
        "webhooks", withheld=frozenset({"sealed_secret", "sealed_previous_secret"})
    )

    url = models.CharField(max_length=2048)
    patterns: "ArrayField[Any, Any]" = ArrayField(models.CharField(max_length=100))
    enabled = models.BooleanField(default=True)
    disabled_because = models.CharField(max_length=10, blank=True, choices=DisabledBecause.choices)
    sealed_secret = SealedColumn(purpose="webhooks.endpoint.secret")
    secret = OpenedText("sealed_secret")
    sealed_previous_secret = SealedColumn(default=b"", purpose="webhooks.endpoint.previous_secret")
    previous_secret = OpenedText("sealed_previous_secret")
    previous_secret_until = models.DateTimeField(null=True)
    failing_since = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render("whk", self.id)

    @property
    def host(self) -> str:
        """The server's name, which may be told where the whole address may not: it can hold a secret."""
        return urlsplit(self.url).hostname or ""

    def replace_secret(self, text: str, *, previous_until: datetime) -> None:
        """Sign with another secret, and with the present one as well until then."""
        self.previous_secret = self.secret
        self.previous_secret_until = previous_until
        self.secret = text

    def secrets_at(self, moment: datetime) -> list[str]:
        """The secrets that sign at a moment, the newest first."""
        found = [self.secret]
        if self.previous_secret_until is not None and moment < self.previous_secret_until:
            found.append(self.previous_secret)
        return found


class DeliveryState(models.TextChoices):
    """How far a delivery is."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


class WebhookDelivery(TenantOwned):
    """One event on its way to one endpoint. `lease_until` is set while somebody sends it.

    The payload carries ids only. `fault` is the code of what went wrong last.
    """

    holding: ClassVar[Holding] = of_nobody(
        "webhook deliveries", kept=Keeping(since="finished_at", days=14, at_most=90)
    )

    endpoint = models.ForeignKey(
        WebhookEndpoint, on_delete=models.CASCADE, db_constraint=False, related_name="+"
    )
    event_id = models.UUIDField()
    event_name = models.CharField(max_length=100)
    payload: "models.JSONField[Any, Any]" = models.JSONField()
    state = models.CharField(
        max_length=10, choices=DeliveryState.choices, default=DeliveryState.WAITING.value
    )
    attempts = models.PositiveIntegerField(default=0)
    status_code = models.PositiveSmallIntegerField(null=True)
    duration_milliseconds = models.PositiveIntegerField(null=True)
    fault = models.CharField(max_length=40, blank=True)
    next_attempt_at = models.DateTimeField(null=True, db_default=Now())
    lease_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id", "endpoint", "event_id"], name="webhook_delivery_once"
            )
        ]
        indexes = [
            models.Index(
                fields=["endpoint", "next_attempt_at"],
                name="webhook_deliveries_due",
                condition=models.Q(state="waiting"),
            ),
            models.Index(fields=["finished_at"], name="webhook_deliveries_by_age"),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render("whd", self.id)

    @property
    def message_id(self) -> str:
        """The same on every attempt and replay, so that the receiver can drop what it has."""
        return ids.render("evt", self.event_id)
