"""The answers that are given again when the same request comes twice."""

from django.db import models
from django.db.models.functions import Now

from kernel.crypto.fields import open_sealed, seal
from kernel.tenancy.models import TenantOwned

BODY = "api.kept_answer.body"


class KeptAnswer(TenantOwned):
    """What a caller was answered under one idempotency key, kept for a day.

    `fingerprint` is of the method, the address and the body. The answer's body is sealed: it may hold the
    secret of a key that was just made.
    """

    caller = models.CharField(max_length=60)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    content_type = models.CharField(max_length=100)
    sealed_body = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "caller", "key"], name="kept_answer_once"),
        ]
        indexes = [models.Index(fields=["created_at"], name="kept_answer_by_age")]

    def __str__(self) -> str:
        return f"{self.caller} {self.id}"

    @property
    def body(self) -> bytes:
        """The answer's body in clear."""
        return open_sealed(self.organization_id, self.sealed_body, purpose=BODY, row_id=self.id)

    @body.setter
    def body(self, content: bytes) -> None:
        self.sealed_body = seal(self.organization_id, content, purpose=BODY, row_id=self.id)
