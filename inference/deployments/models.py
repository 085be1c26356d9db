"""Deployments: the aliases that clients call, and what answers under each."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from inference.prompts.models import PromptVersion
from kernel import ids
from kernel.crypto.columns import OpenedText, SealedColumn
from kernel.ports.holdings import Erasure, Holding, of_nobody
from kernel.tenancy.models import TenantOwned
from tenants.access.permissions import Permission
from tenants.access.restrictable import Restrictable, object_permissions
from training.registry.models import ModelVersion


class DeploymentState(models.TextChoices):
    """Where a deployment is between wish and answer."""

    LOADING = "loading"
    READY = "ready"
    STOPPED = "stopped"
    FAILED = "failed"


# What can be granted on one deployment.
ACTIONS = (
    Permission.DEPLOYMENT_READ,
    Permission.DEPLOYMENT_WRITE,
    Permission.CHAT_USE,
)


class Deployment(Restrictable):
    """A stable alias in one project and the model behind it: the base itself, or a model version of it.

    `digest` names what must answer: the adapter's files, or the base model's. `fault` is the code of the
    last failed attempt and `error` its sentence, both empty when nothing is wrong. `claimed_until` is
    the lease of the worker that is loading it now.
    """

    holding: ClassVar[Holding] = Holding(
        kind="deployments", erased=Erasure.CLEARED, person="created_by_id", cleared=("created_by",)
    )

    prefix = "dep"
    actions = ACTIONS

    alias = models.CharField(max_length=250)
    state = models.CharField(max_length=20, choices=DeploymentState.choices, default=DeploymentState.LOADING)
    base_model = models.CharField(max_length=100)
    model_version = models.ForeignKey(
        ModelVersion, null=True, on_delete=models.PROTECT, db_constraint=False, related_name="+"
    )
    digest = models.CharField(max_length=64, blank=True)
    fault = models.CharField(max_length=50, blank=True)
    error = models.CharField(max_length=500, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    claimed_until = models.DateTimeField(null=True)
    # Whether gateways may keep answers and give them again.
    caches = models.BooleanField(default=True)
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        permissions = object_permissions(*ACTIONS)
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id", "project", "alias"], name="deployment_alias_once"
            )
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render(self.prefix, self.id)


class DeploymentPolicy(TenantOwned):
    """What a deployment lets pass, as docs/policy.md describes it: `document` is JSON.

    It is sealed, since system prompts and lists of words are the organization's own texts. `prompt_version`
    is the prompt template that the deployment pins. A deployment without a row lets everything pass.
    """

    holding: ClassVar[Holding] = of_nobody("policies of deployments")

    deployment = models.ForeignKey(
        Deployment, on_delete=models.CASCADE, db_constraint=False, related_name="policies"
    )
    sealed_document = SealedColumn(default=b"", purpose="deployments.policy.document")
    document = OpenedText("sealed_document")
    prompt_version = models.ForeignKey(
        PromptVersion, null=True, on_delete=models.PROTECT, db_constraint=False, related_name="+"
    )
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id", "deployment"], name="one_policy_of_a_deployment"
            )
        ]

    def __str__(self) -> str:
        return str(self.deployment_id)


class CacheGeneration(TenantOwned):
    """Which generation of the organization's cache is in use; the next one makes what is kept unreadable.

    An organization without a row is in its first.
    """

    holding: ClassVar[Holding] = of_nobody("generations of caches")

    number = models.PositiveIntegerField(default=1)
    cleared_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization_id"], name="cache_generation_once")]

    def __str__(self) -> str:
        return str(self.number)
