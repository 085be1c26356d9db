"""The tenant and its workspaces."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from kernel import ids
from kernel.tenancy.models import TenantOwned


class Organization(models.Model):
    """The tenant. Row-level security lets each see its own row only."""

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    name = models.CharField(max_length=100)
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.name

    @property
    def public_id(self) -> str:
        return ids.render("org", self.id)


class Project(TenantOwned):
    """A workspace inside an organization: files, jobs, models and keys belong to one."""

    name = models.CharField(max_length=100)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        permissions = [("use_project", "May work in the project")]
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "name"], name="project_name_once"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def public_id(self) -> str:
        return ids.render("proj", self.id)


class ProjectOwned(TenantOwned):
    """A row of one project of one organization, and who made it."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, db_constraint=False, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        abstract = True
