"""Base models that every organization can train on, and the model versions that came of it."""

from typing import Any, ClassVar

from django.db import models
from django.db.models.functions import Now

from kernel import ids
from kernel.ports.holdings import Erasure, Holding
from tenants.access.permissions import Permission
from tenants.access.restrictable import Restrictable, object_permissions


class BaseModel(models.Model):
    """A model that the platform brings. Shared: it belongs to no organization.

    `folder` is the name of its folder under `MODELS_DIR`; `digest` names the files in it. The chat
    template and its tokens are kept here so that no process needs the files to write a prompt.
    """

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    name = models.CharField(max_length=100, unique=True)
    architecture = models.CharField(max_length=100)
    parameters = models.BigIntegerField()
    context_tokens = models.IntegerField()
    digest = models.CharField(max_length=64)
    folder = models.CharField(max_length=200)
    chat_template = models.TextField()
    eos_token = models.CharField(max_length=100)
    bos_token = models.CharField(max_length=100, blank=True)
    registered_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.name


class ModelVersion(Restrictable):
    """What a fine-tuning job made: an adapter of a base model, named by its content; never changed.

    `object_key` holds an uncompressed tar of the adapter's two files, encrypted. `name` is the alias that
    clients call. `lineage` says what it was made of: dataset version, file, seed, code, hyperparameters.
    """

    holding: ClassVar[Holding] = Holding(
        kind="model versions",
        erased=Erasure.CLEARED,
        person="created_by_id",
        cleared=("created_by",),
        withheld=frozenset({"object_key"}),
        objects=("object_key",),
    )

    prefix = "mv"
    actions = (Permission.MODEL_READ, Permission.MODEL_WRITE)

    name = models.CharField(max_length=250)
    base_model = models.ForeignKey(BaseModel, on_delete=models.PROTECT, related_name="+")
    # A plain id, since the registry does not know jobs.
    job_id = models.UUIDField(null=True)
    digest = models.CharField(max_length=64)
    bytes = models.BigIntegerField()
    object_key = models.CharField(max_length=250)
    metrics: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    lineage: "models.JSONField[Any, Any]" = models.JSONField(default=dict)

    class Meta:
        permissions = object_permissions(Permission.MODEL_READ, Permission.MODEL_WRITE)
        indexes = [
            models.Index(fields=["organization_id", "project", "id"], name="model_version_by_project"),
            models.Index(fields=["organization_id", "digest"], name="model_version_by_digest"),
        ]
        constraints = [
            # A job makes one model. Its digest alone would not do as the key: training is repeatable, and
            # the same data and seed in a second job give the same adapter under another name.
            models.UniqueConstraint(fields=["organization_id", "job_id"], name="model_version_once"),
            models.UniqueConstraint(fields=["organization_id", "name"], name="model_version_name_once"),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render(self.prefix, self.id)
