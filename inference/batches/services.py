"""What people do with batches: make them and cancel them."""

from dataclasses import dataclass, field
from datetime import timedelta

from django.db.models.functions import Now

from inference.batches import states
from inference.batches.errors import (
    EndpointUnsupported,
    FileUnknown,
    FileUnusable,
    NotCancellable,
    TooManyBatches,
)
from inference.batches.happenings import CREATED, tell
from inference.batches.models import AT_WORK, Batch, BatchState
from inference.gateway.application import Gateway
from kernel import ids
from kernel.audit.log import record
from kernel.errors import NotFound
from tenants.access.permissions import Permission
from tenants.access.principal import Principal
from tenants.access.restrictable import visible
from tenants.access.services import people
from tenants.datasets.models import File, Purpose
from tenants.limits.services import storage
from tenants.limits.services.bounds import Caller
from tenants.organizations.models import Organization

# The addresses of OpenAI's API to which a batch can be made, as far as the gateway serves them.
KNOWN_ENDPOINTS = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/moderations",
    "/v1/images/generations",
)
WINDOWS = {"24h": timedelta(hours=24)}
MAX_UNDER_WAY = 100


@dataclass(frozen=True)
class Order:
    """A batch as it was asked for."""

    input_file: str
    endpoint: str
    completion_window: str
    metadata: dict[str, str] = field(default_factory=dict)
    output_expires_after_seconds: int | None = None


def endpoints() -> list[str]:
    """The addresses to which batches can be made."""
    return [endpoint for endpoint in KNOWN_ENDPOINTS if endpoint in Gateway.paths]


def create_batch(order: Order, *, by: Principal) -> Batch:
    """Make a batch in the current organization; a worker looks its file through, then makes its requests.

    Raises `EndpointUnsupported`, `FileUnknown`, `FileUnusable`, each naming the parameter,
    `PermissionDenied`, `TooManyBatches`, and `StorageLimitReached` where its answers would have no room.
    """
    by.must(Permission.INFERENCE_COMPLETE)
    if order.endpoint not in endpoints():
        raise EndpointUnsupported(
            f"Batches cannot be made to this endpoint. Choose one of: {', '.join(endpoints())}.",
            param="endpoint",
        )
    file = _input_file(order.input_file, by)
    _require_room(file, by)
    batch: Batch = Batch.objects.create(
        project_id=by.project_id,
        created_by=people.person_of(by),
        key_id=by.key_id,
        endpoint=order.endpoint,
        completion_window=order.completion_window,
        metadata=order.metadata,
        output_expires_after_seconds=order.output_expires_after_seconds,
        input_file=file,
        expires_at=Now() + WINDOWS[order.completion_window],
    )
    batch.refresh_from_db()
    record("batch.create", batch.public_id, file=file.public_id, endpoint=order.endpoint)
    tell(CREATED, batch)
    return batch


def cancel_batch(batch: Batch) -> Batch:
    """Make no further request of a batch; its worker notices within a second. Twice is once.

    Raises `NotCancellable` when it has ended otherwise, or has all its answers.
    """
    locked: Batch = Batch.objects.select_for_update().get(pk=batch.pk)
    if locked.state in (BatchState.CANCELLING, BatchState.CANCELLED):
        return locked
    if locked.has_ended or locked.ending:
        raise NotCancellable(
            f"The batch {locked.public_id} is {locked.state}; it cannot be cancelled any more."
        )
    states.ask_to_cancel(locked)
    record("batch.cancel", locked.public_id)
    return locked


def _input_file(public_id: str, by: Principal) -> File:
    unknown = FileUnknown(f"There is no file '{public_id[:80]}' in this project.", param="input_file_id")
    try:
        file_id = ids.parse("file", public_id)
    except NotFound:
        raise unknown from None
    here = visible(File.objects.filter(deleted_at=None), by, Permission.FILE_READ)
    file: File | None = here.filter(pk=file_id).first()
    if file is None:
        raise unknown
    if file.purpose != Purpose.BATCH:
        raise FileUnusable(
            f"The file {public_id} has the purpose '{file.purpose}'; it must be 'batch'.",
            param="input_file_id",
        )
    return file


def _require_room(file: File, by: Principal) -> None:
    """For one batch more, and for as many bytes of answers as there are of requests.

    It is a look, no reservation: answers that turn out longer are kept all the same.
    """
    Organization.objects.select_for_update(no_key=True).get(pk=by.organization_id)
    if Batch.objects.filter(state__in=AT_WORK).count() >= MAX_UNDER_WAY:
        raise TooManyBatches(
            f"Your organization has {MAX_UNDER_WAY} batches under way, which is the most that it may have; "
            "wait until one ends, or cancel one."
        )
    looked_for = ids.uuid7()
    storage.reserve(looked_for, file.bytes, Caller(by.project_id, by.user_id))
    storage.release(looked_for)
