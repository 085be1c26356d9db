"""Responses that were asked to be stored."""

from typing import Any, ClassVar

import orjson
from django.db import models

from kernel import ids
from kernel.crypto.columns import OpenedText, SealedColumn
from kernel.ports.holdings import Erasure, Holding, Keeping
from tenants.organizations.models import ProjectOwned


class StoredResponse(ProjectOwned):
    """A response with what was asked, both sealed: under the key of the person who asked, or who made the API
    key that did; a service account's under the organization's.

    Its `id` is the request's. It has its own items only: what it continues is in `previous_id`, and all that
    follow from one another have the same `thread_id`, the id of the first.
    """

    holding: ClassVar[Holding] = Holding(
        kind="responses",
        erased=Erasure.SHREDDED,
        person="created_by_id",
        # As OpenAI keeps them, unless told otherwise.
        kept=Keeping(since="created_at", days=30),
    )

    key_id = models.UUIDField(null=True)
    model = models.CharField(max_length=256)
    thread_id = models.UUIDField()
    previous_id = models.UUIDField(null=True)
    sealed_items = SealedColumn(default=b"", purpose="response.items", person="created_by_id")
    items_json = OpenedText("sealed_items")
    sealed_body = SealedColumn(default=b"", purpose="response.body", person="created_by_id")
    body_json = OpenedText("sealed_body")

    class Meta:
        indexes = [
            models.Index(fields=["organization_id", "project", "thread_id"], name="response_by_thread"),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render("resp", self.id)

    @property
    def items(self) -> list[dict[str, Any]]:
        """What was asked, without what this response continues; each with its `id`."""
        found: list[dict[str, Any]] = orjson.loads(self.items_json)
        return found

    @property
    def body(self) -> dict[str, Any]:
        """The response as it was answered."""
        found: dict[str, Any] = orjson.loads(self.body_json)
        return found
