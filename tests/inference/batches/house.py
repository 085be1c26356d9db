"""What tests of batches do: bring requests, serve a scripted model, work as a worker does, read the files."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection
from django.db.models.functions import Now

from inference.batches.execution import leases, runner
from inference.batches.execution.leases import Lease
from inference.batches.models import Batch
from inference.deployments import snapshot
from inference.deployments.entries import READY
from inference.deployments.models import Deployment, DeploymentState
from inference.deployments.valkey import valkey
from inference.usage import execution as usage
from inference.usage.models import UsageRecord
from kernel import ids
from tests.cast import Person
from tests.inference.deployments.house import base_model
from tests.inference.gateway.fake_tgi import FakeTgi

ENDPOINT = "/v1/chat/completions"
MODEL = "support"
# What the scripted model answers: four tokens and the end, to a prompt of seven.
ANSWER, PROMPT_TOKENS, ANSWER_TOKENS = "Hello world!", 7, 5


@contextmanager
def served(tgi: FakeTgi) -> Iterator[FakeTgi]:
    """The scripted model server in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(10)

    run(tgi.__aenter__())
    try:
        yield tgi
    finally:
        run(tgi.__aexit__())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def deploy(person: Person, alias: str = MODEL) -> None:
    """The person's project has the model, and the gateways know it."""
    base = base_model()
    with person.acting():
        Deployment.objects.create(
            project=person.project,
            alias=alias,
            base_model=base.name,
            digest=base.digest,
            state=DeploymentState.READY,
        )
    snapshot.publish_project(person.organization.pk, person.project.pk)
    valkey().set(READY, "1")


def line(custom_id: str, /, **changes: Any) -> bytes:
    """One good line, or one that was changed."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": f"Hi {custom_id}"}]}
    request = {"custom_id": custom_id, "method": "POST", "url": ENDPOINT, "body": body} | changes
    return json.dumps(request).encode() + b"\n"


def lines(count: int) -> bytes:
    """Good lines with the ids r1, r2, …"""
    return b"".join(line(f"r{number}") for number in range(1, count + 1))


def names(numbers: Iterable[int]) -> list[str]:
    """The ids of these lines, sorted as texts."""
    return sorted(f"r{number}" for number in numbers)


def bring(person: Person, content: bytes) -> str:
    """An input file; its id."""
    return person.openai.files.create(file=("requests.jsonl", content), purpose="batch").id


def make(person: Person, content: bytes, **options: Any) -> Any:
    """A batch on a new file with this content, made by the official client with the person's key."""
    return person.openai.batches.create(
        input_file_id=bring(person, content),
        endpoint=ENDPOINT,
        completion_window="24h",
        **options,
    )


def row(person: Person, batch_id: str) -> Batch:
    """The row as it is now."""
    with person.acting():
        batch: Batch = Batch.objects.get(pk=ids.parse("batch", batch_id))
    return batch


def change(person: Person, batch_id: str, **values: Any) -> None:
    """Change the row behind everybody's back."""
    with person.acting():
        Batch.objects.filter(pk=ids.parse("batch", batch_id)).update(**values)


def free(person: Person, batch_id: str) -> None:
    """Let the lease of a dead worker lapse, and a rest be over."""
    change(person, batch_id, lease_until=Now(), not_before=None)


def taken(person: Person) -> Lease:
    """The lease of a batch of the person's organization; others that wait are taken too, and left."""
    while (lease := leases.claim()) is not None:
        if lease.organization_id == person.organization.pk:
            return lease
    raise AssertionError("no batch of the organization waits")


def finished(person: Person, content: bytes, **options: Any) -> Any:
    """A batch that was made and worked on until nothing waits."""
    batch = make(person, content, **options)
    runner.run_waiting()
    return person.openai.batches.retrieve(batch.id)


def read(person: Person, file_id: str | None) -> list[dict[str, Any]]:
    """The lines of a file of answers; none where there is no file."""
    if file_id is None:
        return []
    return [json.loads(text) for text in person.openai.files.content(file_id).text.splitlines()]


def used(person: Person) -> list[UsageRecord]:
    """Every usage record of the organization."""
    usage.drain()
    with person.acting():
        return list(UsageRecord.objects.order_by("pk"))


@contextmanager
def at_work() -> Iterator[threading.Thread]:
    """A worker in a thread, until nothing waits."""

    def work() -> None:
        try:
            runner.run_waiting()
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield thread
    finally:
        thread.join(60)
        assert not thread.is_alive()


def wait_until(condition: Callable[[], object], *, at_most_seconds: float = 20) -> None:
    """Return once it is so; fail when it does not come to that."""
    deadline = time.monotonic() + at_most_seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)
