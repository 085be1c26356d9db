"""Workers that are killed, frozen or told to stop in the middle of a batch; and one in flat memory."""

import io
import os
import signal
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import orjson
import pytest

from inference.batches.asking import Answer, Question
from inference.batches.errors import LeaseLost
from inference.batches.execution import parts, runner
from inference.batches.execution.progress import Progress
from inference.batches.lines import Request
from inference.batches.models import BatchPart, PartKind
from kernel.storage import objects
from kernel.storage.errors import ObjectMissing
from tests.cast import Person
from tests.inference.batches.house import (
    ANSWER_TOKENS,
    PROMPT_TOKENS,
    deploy,
    free,
    line,
    lines,
    make,
    names,
    read,
    row,
    taken,
    used,
    wait_until,
)
from tests.inference.gateway.fake_tgi import FakeTgi, Script

SCRIPT = Path(__file__).with_name("worker_process.py")
REPOSITORY = Path(__file__).parents[3]

Worker = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def worker(tgi: FakeTgi) -> Iterator[Worker]:
    """Start a worker in a process of its own; killed at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> "subprocess.Popen[bytes]":
        path = os.pathsep.join([str(REPOSITORY / "platform"), str(REPOSITORY)])
        environment = {**os.environ, "PYTHONPATH": path, "POD_URL": tgi.url}
        popen = subprocess.Popen(
            [sys.executable, str(SCRIPT)], cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE
        )
        started.append(popen)
        return popen

    yield start
    for popen in started:
        popen.kill()
        popen.communicate()


def answered(tgi: FakeTgi) -> int:
    """How many answers the model has given to their end."""
    return sum(one.ended.is_set() and not one.aborted for one in tgi.seen)


class Parrot:
    """Answers every question at once with its own body, beside some text."""

    def __init__(self, text: str = "") -> None:
        self.text, self.asked = text, Counter[str]()

    def ask(self, question: Question) -> "Future[Answer]":
        self.asked[question.principal.organization_id] += 1
        future: Future[Answer] = Future()
        usage = {"prompt_tokens": 3, "completion_tokens": 2}
        body = orjson.dumps({"text": self.text, "usage": usage})
        future.set_result(Answer(200, {}, body))
        return future


def test_after_a_killed_worker_every_answer_is_there_once_and_billed_once(
    owner: Person, tgi: FakeTgi, worker: Worker
) -> None:
    deploy(owner)
    tgi.script = Script(delay=0.05)
    batch = make(owner, lines(60))
    first = worker()
    wait_until(lambda: row(owner, batch.id).completed >= 10, at_most_seconds=60)
    wait_until(lambda: answered(tgi) >= row(owner, batch.id).completed + 3)
    first.kill()
    first.wait()
    begun = row(owner, batch.id).completed
    billed = {record.id for record in used(owner)}
    assert 10 <= begun < len(billed) < 60, "some answers were billed and are lost"
    assert runner.run_waiting() == 0, "the dead worker's lease still holds"
    free(owner, batch.id)
    tgi.script = Script()
    runner.run_waiting()
    ended = owner.openai.batches.retrieve(batch.id)
    assert (ended.status, ended.request_counts.completed) == ("completed", 60)
    answers = read(owner, ended.output_file_id)
    assert sorted(one["custom_id"] for one in answers) == names(range(1, 61))
    records = used(owner)
    assert len(records) == 60 < len(tgi.seen)
    assert billed <= {record.id for record in records}
    assert {record.status for record in records} == {"completed"}
    assert sum(record.prompt_tokens for record in records) == 60 * PROMPT_TOKENS == ended.usage.input_tokens
    assert sum(record.completion_tokens for record in records) == 60 * ANSWER_TOKENS


def test_a_worker_that_is_told_to_stop_hands_the_batch_over(
    owner: Person, tgi: FakeTgi, worker: Worker
) -> None:
    deploy(owner)
    tgi.script = Script(delay=0.05)
    batch = make(owner, lines(60))
    first = worker()
    wait_until(lambda: row(owner, batch.id).completed >= 5, at_most_seconds=60)
    first.send_signal(signal.SIGTERM)
    told, _ = first.communicate(timeout=20)
    assert (first.returncode, told) == (0, b"turns 1\n")
    left = row(owner, batch.id)
    assert (left.lease_until, left.state) == (None, "in_progress")
    tgi.script = Script()
    runner.run_waiting()
    ended = owner.openai.batches.retrieve(batch.id)
    assert sorted(one["custom_id"] for one in read(owner, ended.output_file_id)) == names(range(1, 61))
    assert len(used(owner)) == 60


def test_a_worker_that_wakes_up_too_late_writes_nothing(owner: Person) -> None:
    batch = make(owner, lines(3))
    frozen = taken(owner)
    progress = Progress(frozen, frozen.read())
    stored = io.BytesIO(lines(3))
    [request, *_] = list(progress.requests(stored))
    free(owner, batch.id)
    taken(owner)
    before = row(owner, batch.id)
    progress.settle(request, Answer(200, {}, b"{}"))
    with pytest.raises(LeaseLost):
        progress.flush()
    with pytest.raises(LeaseLost):
        frozen.hold()
    assert row(owner, batch.id).completed == before.completed == 0
    with owner.acting():
        assert not BatchPart.objects.exists()


def test_what_was_answered_out_of_order_is_not_asked_again(owner: Person) -> None:
    make(owner, lines(5))
    lease = taken(owner)
    stored = io.BytesIO(lines(5))
    progress = Progress(lease, lease.read())
    given: list[Request] = list(progress.requests(stored))
    for request in (given[0], given[2], given[4]):
        progress.settle(request, Answer(200, {}, b"{}"))
    progress.flush()
    known = lease.read()
    assert (known.line, known.ahead, known.completed) == (1, [3, 5], 3)
    again = Progress(lease, known)
    assert [request.number for request in again.requests(stored)] == [2, 4]


def test_parts_that_a_dead_worker_left_are_removed(owner: Person) -> None:
    batch = make(owner, lines(1))
    part = parts.store(owner.organization.pk, row(owner, batch.id).pk, PartKind.OUTPUT, [b"{}\n"])
    with owner.acting():
        part.save(force_insert=True)
    runner.remove_left_parts()
    assert objects.exists(owner.organization.pk, part.object_key)
    owner.openai.batches.cancel(batch.id)
    with owner.acting():
        type(row(owner, batch.id)).objects.filter(pk=part.batch_id).update(state="cancelled")
    runner.remove_left_parts()
    with pytest.raises(ObjectMissing):
        objects.get(owner.organization.pk, part.object_key)
    with owner.acting():
        assert not BatchPart.objects.exists()


def test_a_batch_that_goes_wrong_on_our_side_again_and_again_is_given_up(owner: Person, tgi: FakeTgi) -> None:
    class Broken:
        def ask(self, question: Question) -> Any:
            raise RuntimeError("broken")

    batch = make(owner, lines(1))
    for _ in range(runner.MAX_SETBACKS + 1):
        free(owner, batch.id)
        runner.run_waiting(lambda: nullcontext(Broken()))
    ended = owner.openai.batches.retrieve(batch.id)
    assert ended.status == "failed"
    assert [error.code for error in ended.errors.data] == ["internal_error"]


@pytest.mark.slow
def test_fifty_thousand_requests_and_their_answers_are_never_in_memory_together(owner: Person) -> None:
    count, text = 50_000, "x" * 1500
    content = b"".join(line(f"r{number}", body={"text": text}) for number in range(count))
    batch = make(owner, content)
    del content
    parrot = Parrot(text)
    tracemalloc.start()
    runner.run_waiting(lambda: nullcontext(parrot))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    ended = owner.openai.batches.retrieve(batch.id)
    assert (ended.request_counts.completed, parrot.asked[str(owner.organization.pk)]) == (count, count)
    assert ended.usage.output_tokens == 2 * count
    with owner.acting():
        output = row(owner, batch.id).output_file
    found = objects.open_object(owner.organization.pk, output.object_key)
    assert sum(1 for _ in found) == count
    # Requests and answers have 160 MiB; the object store's upload holds up to six parts of 8 MiB.
    assert peak < 64 * 1024 * 1024
