"""What tests of usage do: write what gateways write, drain it, and look at what is kept."""

from typing import Any
from uuid import uuid4

import orjson
import redis

from inference.gateway.metering.usage import UsageRecord as Sent
from inference.usage import execution
from inference.usage.models import Grain, UsageBucket, UsageRecord
from kernel.ids import uuid7
from tests.cast import Person

STREAM = "lw:usage"
# 2026-09-21 14:13:20 UTC, a Monday.
THEN = 1_790_000_000
MINUTE, HOUR, DAY = 60, 3_600, 86_400


def sent(person: Person, **changes: Any) -> dict[str, Any]:
    """What the gateway writes for one request, as a document."""
    record = Sent(
        request_id=str(uuid7()),
        organization_id=str(person.organization.pk),
        project_id=str(person.project.pk),
        key_id=str(uuid4()),
        user_id=None,
        deployment_id=str(uuid4()),
        model_version_id=str(uuid4()),
        model="smollm2-135m-instruct",
        digest="d" * 64,
        surface="chat.completions",
        prompt_tokens=12,
        completion_tokens=34,
        status="completed",
        finish_reason="stop",
        started_at=1_790_000_000.25,
        first_token_ms=20.5,
        duration_ms=345.75,
    )
    document: dict[str, Any] = orjson.loads(record.encoded())
    return {**document, **changes}


def put(valkey: redis.Redis, *documents: Any) -> None:
    for document in documents:
        valkey.xadd(STREAM, {"record": document if isinstance(document, bytes) else orjson.dumps(document)})


def stored(person: Person) -> list[UsageRecord]:
    with person.acting():
        return list(UsageRecord.objects.order_by("pk"))


def used(valkey: redis.Redis, *documents: Any) -> None:
    """Send records and have them stored."""
    put(valkey, *documents)
    execution.drain()


def buckets(person: Person, grain: Grain = Grain.DAY) -> list[UsageBucket]:
    """The organization's totals of a grain, oldest first."""
    with person.acting():
        return list(UsageBucket.objects.filter(grain=grain.value).order_by("start", "model", "pk"))
