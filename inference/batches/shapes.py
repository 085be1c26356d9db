"""How batches look on the wire, and how one is asked for: OpenAI's form."""

from datetime import datetime
from typing import Any

from rest_framework import serializers

from inference.batches.models import Batch, BatchState
from inference.batches.services import WINDOWS, Order
from kernel import ids
from kernel.api.strict import StrictSerializer

MAX_METADATA_PAIRS = 16
MAX_METADATA_NAME = 64
MAX_METADATA_VALUE = 512
ANCHOR = "created_at"
# A file lives an hour at least and thirty days at most.
LEAST_SECONDS, MOST_SECONDS = 3_600, 2_592_000
# The column in which each state's moment stands; the ends share one.
MOMENTS = ("in_progress_at", "expires_at", "finalizing_at", "cancelling_at")
END_MOMENTS = {
    BatchState.COMPLETED: "completed_at",
    BatchState.FAILED: "failed_at",
    BatchState.EXPIRED: "expired_at",
    BatchState.CANCELLED: "cancelled_at",
}


class ExpiresAfterSerializer(StrictSerializer):
    """When the output is deleted by itself: so many seconds after its file was made."""

    anchor = serializers.ChoiceField(choices=[ANCHOR])
    seconds = serializers.IntegerField(min_value=LEAST_SECONDS, max_value=MOST_SECONDS)


class BatchRequestSerializer(StrictSerializer):
    """OpenAI's request to create a batch."""

    input_file_id = serializers.CharField(max_length=100)
    endpoint = serializers.CharField(max_length=100)
    completion_window = serializers.ChoiceField(choices=list(WINDOWS))
    metadata = serializers.DictField(
        child=serializers.CharField(max_length=MAX_METADATA_VALUE, allow_blank=True),
        required=False,
        allow_null=True,
    )
    output_expires_after = ExpiresAfterSerializer(required=False, allow_null=True)

    def validate_metadata(self, metadata: dict[str, str] | None) -> dict[str, str] | None:
        if metadata and (len(metadata) > MAX_METADATA_PAIRS or max(map(len, metadata)) > MAX_METADATA_NAME):
            raise serializers.ValidationError("may have up to 16 pairs, with keys of up to 64 characters.")
        return metadata


class BatchErrorSerializer(serializers.Serializer[Any]):
    """What is wrong with a batch, or with a line of its input."""

    code = serializers.CharField()
    message = serializers.CharField()
    param = serializers.CharField(allow_null=True)
    line = serializers.IntegerField(allow_null=True)


class BatchErrorsSerializer(serializers.Serializer[Any]):
    """OpenAI's list of errors."""

    object = serializers.CharField()
    data = BatchErrorSerializer(many=True)  # type: ignore[assignment]


class BatchRequestCountsSerializer(serializers.Serializer[Any]):
    """How many requests there are, were answered, were refused."""

    total = serializers.IntegerField()
    completed = serializers.IntegerField()
    failed = serializers.IntegerField()


class CachedTokensSerializer(serializers.Serializer[Any]):
    """Of the input tokens."""

    cached_tokens = serializers.IntegerField()


class ReasoningTokensSerializer(serializers.Serializer[Any]):
    """Of the output tokens."""

    reasoning_tokens = serializers.IntegerField()


class BatchUsageSerializer(serializers.Serializer[Any]):
    """The tokens of the requests that were answered."""

    input_tokens = serializers.IntegerField()
    input_tokens_details = CachedTokensSerializer()
    output_tokens = serializers.IntegerField()
    output_tokens_details = ReasoningTokensSerializer()
    total_tokens = serializers.IntegerField()


class BatchSerializer(serializers.Serializer[Any]):
    """OpenAI's batch; what does not apply is left out."""

    id = serializers.CharField()
    object = serializers.CharField()
    endpoint = serializers.CharField()
    model = serializers.CharField(required=False)
    errors = BatchErrorsSerializer(required=False)  # type: ignore[assignment]
    input_file_id = serializers.CharField()
    completion_window = serializers.CharField()
    status = serializers.ChoiceField(choices=BatchState.choices)
    output_file_id = serializers.CharField(required=False)
    error_file_id = serializers.CharField(required=False)
    created_at = serializers.IntegerField()
    in_progress_at = serializers.IntegerField(required=False)
    expires_at = serializers.IntegerField(required=False)
    finalizing_at = serializers.IntegerField(required=False)
    completed_at = serializers.IntegerField(required=False)
    failed_at = serializers.IntegerField(required=False)
    expired_at = serializers.IntegerField(required=False)
    cancelling_at = serializers.IntegerField(required=False)
    cancelled_at = serializers.IntegerField(required=False)
    request_counts = BatchRequestCountsSerializer()
    usage = BatchUsageSerializer()
    metadata = serializers.DictField(child=serializers.CharField())


def read_order(body: Any) -> Order:
    """The order in a request's body. Raises `ValidationError` that names the parameter at fault."""
    request = BatchRequestSerializer(data=body)
    request.is_valid(raise_exception=True)
    asked = request.validated_data
    expires_after = asked.get("output_expires_after")
    return Order(
        input_file=asked["input_file_id"],
        endpoint=asked["endpoint"],
        completion_window=asked["completion_window"],
        metadata=asked.get("metadata") or {},
        output_expires_after_seconds=expires_after["seconds"] if expires_after else None,
    )


def show_batch(batch: Batch) -> dict[str, Any]:
    """OpenAI's batch object."""
    moments: dict[str, datetime | None] = {name: getattr(batch, name) for name in MOMENTS}
    if batch.has_ended:
        moments[END_MOMENTS[BatchState(batch.state)]] = batch.finished_at
    files = {"output_file_id": batch.output_file_id, "error_file_id": batch.error_file_id}
    return {
        "id": batch.public_id,
        "object": "batch",
        "endpoint": batch.endpoint,
        **({"model": batch.model} if batch.model else {}),
        **({"errors": {"object": "list", "data": batch.errors}} if batch.errors else {}),
        "input_file_id": ids.render("file", batch.input_file_id),
        "completion_window": batch.completion_window,
        "status": batch.state,
        **{name: ids.render("file", file_id) for name, file_id in files.items() if file_id},
        "created_at": int(batch.created_at.timestamp()),
        **{name: int(moment.timestamp()) for name, moment in moments.items() if moment},
        "request_counts": {"total": batch.total, "completed": batch.completed, "failed": batch.failed},
        "usage": {
            "input_tokens": batch.input_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": batch.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": batch.input_tokens + batch.output_tokens,
        },
        "metadata": batch.metadata,
    }
