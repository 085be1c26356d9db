"""REST: batches, as OpenAI's API has them."""

from typing import ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from inference.batches import services, shapes
from inference.batches.errors import BatchUnknown
from inference.batches.models import Batch
from kernel import ids
from kernel.api.pages import page, page_shape
from kernel.api.schema import PAGING
from kernel.errors import NotFound
from tenants.access.endpoint import Endpoint
from tenants.access.permissions import Permission
from tenants.access.principal import Principal


class BatchesView(Endpoint):
    """Make a batch, list batches."""

    permission: ClassVar = {"GET": Permission.BATCH_READ, "POST": Permission.BATCH_WRITE}

    @extend_schema(parameters=PAGING, responses=page_shape("BatchPage", shapes.BatchSerializer))
    def get(self, request: Request) -> Response:
        return Response(
            page(_batches(self.principal), request.query_params, prefix="batch", show=shapes.show_batch)
        )

    @extend_schema(request=shapes.BatchRequestSerializer, responses={200: shapes.BatchSerializer})
    def post(self, request: Request) -> Response:
        batch = services.create_batch(shapes.read_order(request.data), by=self.principal)
        return Response(shapes.show_batch(batch))


class BatchView(Endpoint):
    """One batch."""

    permission = Permission.BATCH_READ

    @extend_schema(responses=shapes.BatchSerializer)
    def get(self, request: Request, batch_id: str) -> Response:
        return Response(shapes.show_batch(_batch(self.principal, batch_id)))


class BatchCancelView(Endpoint):
    """Make no further request of a batch."""

    permission = Permission.BATCH_WRITE

    @extend_schema(request=None, responses={200: shapes.BatchSerializer})
    def post(self, request: Request, batch_id: str) -> Response:
        return Response(shapes.show_batch(services.cancel_batch(_batch(self.principal, batch_id))))


def _batches(principal: Principal) -> "QuerySet[Batch]":
    batches: QuerySet[Batch] = Batch.objects.filter(project_id=principal.project_id)
    return batches


def _batch(principal: Principal, public_id: str) -> Batch:
    unknown = BatchUnknown(f"There is no batch '{public_id[:80]}'.", param="batch_id")
    try:
        batch = _batches(principal).filter(pk=ids.parse("batch", public_id)).first()
    except NotFound:
        raise unknown from None
    if batch is None:
        raise unknown
    return batch
