"""Prompt templates and their versions."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from kernel import ids
from kernel.crypto.columns import OpenedText, SealedColumn
from kernel.ports.holdings import Erasure, Holding, of_nobody
from kernel.tenancy.models import TenantOwned
from tenants.organizations.models import ProjectOwned


class PromptTemplate(ProjectOwned):
    """A named prompt of a project. What it says stands in its versions."""

    holding: ClassVar[Holding] = Holding(
        kind="prompt templates", erased=Erasure.CLEARED, person="created_by_id", cleared=("created_by",)
    )

    prefix = "pmpt"

    name = models.CharField(max_length=100)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id", "project", "name"], name="prompt_template_name_once"
            )
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render(self.prefix, self.id)


class PromptVersion(TenantOwned):
    """One version of a prompt template, which never changes. `number` counts from 1.

    `messages` is JSON: objects with `role` and `content`. It is sealed, as an organization's own text.
    """

    holding: ClassVar[Holding] = of_nobody("versions of prompt templates")

    template = models.ForeignKey(
        PromptTemplate, on_delete=models.CASCADE, db_constraint=False, related_name="versions"
    )
    number = models.PositiveIntegerField()
    sealed_messages = SealedColumn(default=b"", purpose="prompts.version.messages")
    messages = OpenedText("sealed_messages")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id", "template", "number"], name="prompt_version_number_once"
            )
        ]

    def __str__(self) -> str:
        return str(self.number)
