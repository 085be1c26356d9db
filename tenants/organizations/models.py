"""The tenant and its workspaces."""

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from kernel import ids
from kernel.ports.holdings import Erasure, Holding, of_nobody
from kernel.tenancy.models import TenantOwned


class OrganizationState(models.TextChoices):
    """`closing` waits for its grace period and can be undone; `closed` is a tombstone."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    CLOSING = "closing"
    CLOSED = "closed"


class Organization(models.Model):
    """The tenant. Row-level security lets each see its own row only."""

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    name = models.CharField(max_length=100)
    created_at = models.DateTimeField(db_default=Now())
    state = models.CharField(
        max_length=20, choices=OrganizationState.choices, default=OrganizationState.ACTIVE
    )
    # Why the operator suspended it; shown to its members.
    state_reason = models.CharField(max_length=500, blank=True)
    # When a closing organization is erased.
    erase_at = models.DateTimeField(null=True)
    # When nothing of a closed organization was left but this row.
    erased_at = models.DateTimeField(null=True)
    # Since when the organization's own encryption key refuses its use.
    key_refused_at = models.DateTimeField(null=True)
    plan = models.CharField(max_length=50, default="free")
    # In OpenAI's words: what is kept of requests, and for how long.
    data_retention = models.CharField(max_length=50, default="zero_data_retention")
    require_sso = models.BooleanField(default=False)
    require_mfa = models.BooleanField(default=False)
    # Whether whoever asks for an erasure may not be the one who approves it.
    erasure_needs_two = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.name

    @property
    def public_id(self) -> str:
        return ids.render("org", self.id)


class Project(TenantOwned):
    """A workspace inside an organization: files, jobs, models and keys belong to one."""

    holding: ClassVar[Holding] = of_nobody("projects")

    name = models.CharField(max_length=100)
    created_at = models.DateTimeField(db_default=Now())
    archived_at = models.DateTimeField(null=True)
    data_retention = models.CharField(max_length=50, default="organization_default")
    # None: every model of the project may be used. Otherwise a list and its mode, allow_list or deny_list.
    model_list: "ArrayField[Any, Any]" = ArrayField(models.CharField(max_length=200), null=True)
    model_list_mode = models.CharField(max_length=20, blank=True)

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


class SupportAccess(TenantOwned):
    """An organization's consent that the platform's operator looks in, until it ends or is withdrawn."""

    holding: ClassVar[Holding] = Holding(
        kind="support accesses", erased=Erasure.CLEARED, person="created_by_id", cleared=("created_by",)
    )

    reason = models.CharField(max_length=500)
    created_at = models.DateTimeField(db_default=Now())
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render("support", self.id)


class HeldSubject(models.TextChoices):
    """What a legal hold keeps: all of the organization, what is about a person, or a file with its rows."""

    ORGANIZATION = "organization"
    PERSON = "person"
    FILE = "file"


class LegalHold(TenantOwned):
    """That something must not be erased until the hold is lifted, and why.

    `subject_id` is the person's or the file's id, None for the organization.
    """

    holding: ClassVar[Holding] = Holding(
        kind="legal holds",
        erased=Erasure.KEPT,
        person="subject_id",
        because="Who held what back, and why, must stay provable.",
    )

    subject_kind = models.CharField(max_length=20, choices=HeldSubject.choices)
    subject_id = models.UUIDField(null=True)
    name = models.CharField(max_length=100)
    reason = models.CharField(max_length=500)
    created_at = models.DateTimeField(db_default=Now())
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    lifted_at = models.DateTimeField(null=True)
    lifted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    lifted_because = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(subject_kind="organization") ^ models.Q(subject_id__isnull=False),
                name="hold_names_its_subject",
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render("hold", self.id)
