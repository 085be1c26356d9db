"""Files and the dataset versions made of them."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from kernel import ids
from kernel.ports.holdings import Erasure, Holding, Keeping
from tenants.access.permissions import Permission
from tenants.access.restrictable import Restrictable, object_permissions
from tenants.organizations.models import ProjectOwned


class FileState(models.TextChoices):
    """Where a file is between upload and use."""

    UPLOADED = "uploaded"
    VALIDATING = "validating"
    PROCESSED = "processed"
    INVALID = "error"
    DELETED = "deleted"


class Purpose(models.TextChoices):
    """What a file is for, in OpenAI's words."""

    FINE_TUNE = "fine-tune"
    BATCH = "batch"
    BATCH_OUTPUT = "batch_output"


def state_at_first(purpose: str) -> FileState:
    """Only rows for training are validated and made into dataset versions; a batch reads its own requests."""
    return FileState.UPLOADED if purpose == Purpose.FINE_TUNE else FileState.PROCESSED


class LegalBasis(models.TextChoices):
    """By which right personal data is processed: article 6(1) of the GDPR, or that there is none in it."""

    CONSENT = "consent"
    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal_obligation"
    VITAL_INTERESTS = "vital_interests"
    PUBLIC_TASK = "public_task"
    LEGITIMATE_INTERESTS = "legitimate_interests"
    NO_PERSONAL_DATA = "no_personal_data"


class File(Restrictable):
    """Bytes that a person brought, encrypted in the object store. Deleting leaves a tombstone.

    Its dataset versions have the same rows, and are reached as the file is.
    """

    holding: ClassVar[Holding] = Holding(
        kind="files",
        erased=Erasure.CLEARED,
        person="created_by_id",
        cleared=("created_by",),
        withheld=frozenset({"object_key"}),
        objects=("object_key",),
        kept=Keeping(since="created_at", gone="deleted_at"),
    )

    prefix = "file"
    actions = (Permission.FILE_READ, Permission.FILE_WRITE)

    filename = models.CharField(max_length=255)
    purpose = models.CharField(max_length=30)
    bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    object_key = models.CharField(max_length=200)
    state = models.CharField(max_length=20, choices=FileState.choices, default=FileState.UPLOADED)
    state_reason = models.CharField(max_length=500, blank=True)
    validating_since = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)
    # When it is deleted by itself.
    expires_at = models.DateTimeField(null=True)
    # The file that has its rows but those that were erased.
    replaced_by = models.ForeignKey(
        "self", null=True, on_delete=models.SET_NULL, db_constraint=False, related_name="+"
    )
    # By which right the rows are here, what for, and whether models may learn from them.
    legal_basis = models.CharField(max_length=30, blank=True, choices=LegalBasis.choices)
    processing_purpose = models.CharField(max_length=500, blank=True)
    consent_reference = models.CharField(max_length=200, blank=True)
    training_allowed = models.BooleanField(default=True)

    class Meta:
        permissions = object_permissions(Permission.FILE_READ, Permission.FILE_WRITE)
        indexes = [
            models.Index(fields=["organization_id", "project", "id"], name="file_by_project"),
            models.Index(
                fields=["expires_at"],
                name="file_that_expires",
                condition=Q(deleted_at=None, expires_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render(self.prefix, self.id)


class Validation(ProjectOwned):
    """What was found in a file. The problems themselves, each with its row, are an encrypted object."""

    holding: ClassVar[Holding] = Holding(
        kind="validations",
        erased=Erasure.CLEARED,
        person="created_by_id",
        cleared=("created_by",),
        withheld=frozenset({"problems_key"}),
        objects=("problems_key",),
    )

    file = models.OneToOneField(
        File, on_delete=models.CASCADE, db_constraint=False, related_name="validation"
    )
    format = models.CharField(max_length=30, blank=True)
    rows = models.BigIntegerField(default=0)
    valid_rows = models.BigIntegerField(default=0)
    problem_counts: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    problems_key = models.CharField(max_length=200, blank=True)
    finished_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"validation of {self.file_id}"


class DatasetVersion(ProjectOwned):
    """Rows in the one form that training reads, named by their content; never changed."""

    holding: ClassVar[Holding] = Holding(
        kind="dataset versions",
        erased=Erasure.CLEARED,
        person="created_by_id",
        cleared=("created_by",),
        withheld=frozenset({"object_key"}),
        objects=("object_key",),
    )

    file = models.ForeignKey(File, on_delete=models.PROTECT, db_constraint=False, related_name="+")
    digest = models.CharField(max_length=64)
    format = models.CharField(max_length=30)
    rows = models.BigIntegerField()
    bytes = models.BigIntegerField()
    object_key = models.CharField(max_length=200)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id", "project", "file", "digest"], name="dataset_version_once"
            )
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render("dsv", self.id)
