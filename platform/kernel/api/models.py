"""The answers that are given again when the same request comes twice."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from kernel.crypto.columns import OpenedBytes, SealedColumn
from kernel.ports.holdings import Erasure, Holding
from kernel.tenancy.models import TenantOwned


class KeptAnswer(TenantOwned):
    """What a caller was answered under one idempotency key, kept for a day.

    `fingerprint` is of the method, the address and the body. The answer's body is sealed: it may hold the
    secret of a key that was just made.
    """

    holding: ClassVar[Holding] = Holding(
        kind="answers given again",
        erased=Erasure.DELETED,
        person="caller",
        person_as="user",
        withheld=frozenset({"sealed_body"}),
    )

    caller = models.CharField(max_length=60)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    content_type = models.CharField(max_length=100)
    sealed_body = SealedColumn(purpose="api.kept_answer.body")
    body = OpenedBytes("sealed_body")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "caller", "key"], name="kept_answer_once"),
        ]
        indexes = [models.Index(fields=["created_at"], name="kept_answer_by_age")]

    def __str__(self) -> str:
        return f"{self.caller} {self.id}"
