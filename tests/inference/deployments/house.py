"""What tests of deployments do: deliver events as a worker would, make model versions, read the snapshot."""

import io
from typing import Any

import orjson
from django.db.models.functions import Now

from inference.deployments import tasks as _tasks  # noqa: F401 - makes the subscribers known
from inference.deployments.models import Deployment
from inference.deployments.services import PROJECT_BASE_MODEL
from inference.deployments.valkey import valkey
from kernel.events.models import OutboxEvent
from kernel.events.subscribers import subscriptions_to
from kernel.ids import uuid7
from kernel.storage import objects
from kernel.storage.names import object_key
from kernel.tenancy.tasks import HEADER
from tests.cast import Person
from training.registry.models import BaseModel, ModelVersion
from training.registry.services import NewModelVersion, register_model_version


def base_model() -> BaseModel:
    """The base model of this test run."""
    row, _ = BaseModel.objects.get_or_create(
        name=PROJECT_BASE_MODEL,
        defaults={
            "architecture": "LlamaForCausalLM",
            "parameters": 134_515_008,
            "context_tokens": 8192,
            "digest": "b" * 64,
            "folder": PROJECT_BASE_MODEL,
            "chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}",
            "eos_token": "<|im_end|>",
            "bos_token": "<|im_start|>",
        },
    )
    return row


def deliver(person: Person) -> list[str]:
    """Deliver what waits in the organization's outbox, to the end; answers the events' names in order."""
    names = []
    while (event := _next(person)) is not None:
        names.append(event.name)
        message = {
            "id": str(event.id),
            "name": event.name,
            "aggregate_id": str(event.aggregate_id),
            "project_id": str(event.project_id) if event.project_id else None,
            "payload": event.payload,
        }
        for wish in subscriptions_to(event.name):
            if wish.task.name.startswith("inference."):
                wish.task.apply(args=(message,), headers={HEADER: str(person.organization.pk)}, throw=True)
    return names


def payload_of(person: Person, name: str) -> dict[str, Any]:
    """The payload of the newest event of that name."""
    with person.acting():
        event = OutboxEvent.objects.filter(name=name).order_by("-sequence")[0]
        payload: dict[str, Any] = event.payload
    return payload


def register(person: Person, digest: str, archive: bytes, *, name: str = "") -> ModelVersion:
    """A model version of the person's project, its adapter encrypted in the object store."""
    version_id = uuid7()
    key = object_key(person.organization.pk, "models", version_id, "adapter.tar")
    objects.put(person.organization.pk, key, io.BytesIO(archive))
    with person.acting():
        return register_model_version(
            NewModelVersion(
                id=version_id,
                name=name or f"ft:{PROJECT_BASE_MODEL}:{version_id.hex[-8:]}",
                project_id=person.project.pk,
                created_by_id=person.user.pk,
                base_model=base_model(),
                job_id=uuid7(),
                digest=digest,
                bytes=len(archive),
                object_key=key,
            )
        )


def deployment_of(person: Person, alias: str) -> Deployment:
    """The deployment as it is now."""
    with person.acting():
        row: Deployment = Deployment.objects.get(alias=alias)
    return row


def published(person: Person) -> dict[str, dict[str, Any]]:
    """What the gateway may know of the person's project, by alias."""
    value = valkey().get(f"lw:snapshot:project:{person.project.pk}")
    assert isinstance(value, bytes)
    return {one["alias"]: one for one in orjson.loads(value)["deployments"]}


def _next(person: Person) -> OutboxEvent | None:
    with person.acting():
        event: OutboxEvent | None = (
            OutboxEvent.objects.filter(dispatched_at=None).order_by("sequence").first()
        )
        if event is not None:
            OutboxEvent.objects.filter(pk=event.pk).update(dispatched_at=Now())
    return event
