"""How far a batch is: which lines are done, and their answers on the way to the object store."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from typing import Any

import orjson
from django.db.models import F

from inference.batches.asking import Answer
from inference.batches.errors import LeaseLost
from inference.batches.execution import parts
from inference.batches.execution.leases import Lease
from inference.batches.lines import Request, Seekable, lines_of, read_request, request_id_of
from inference.batches.models import Batch, BatchPart, PartKind
from kernel.tenancy.scope import acting_for

FLUSH_SECONDS = 5.0
FLUSH_BYTES = 4 * 1024 * 1024
# No request is given out that is further than this from the oldest one that is not done.
WINDOW = 256


@dataclass(frozen=True)
class Attempts:
    """How often a request was made in vain, and how often of these something broke down on it."""

    made: int = 0
    broken: int = 0


class Progress:
    """Gives out the requests that are not done, takes their answers, and stores both in one step.

    Until then answers are in memory: a worker that dies loses those of a few seconds. Their requests are made
    again under the same ids, so that they are billed once and stand in the files once.
    """

    def __init__(self, lease: Lease, batch: Batch, clock: Callable[[], float] = time.monotonic) -> None:
        self._lease, self._batch, self._clock = lease, batch, clock
        self._line, self._offset = batch.line, batch.offset
        self._done: set[int] = set(batch.ahead)
        self._given: deque[tuple[int, int]] = deque()
        self._lines: dict[PartKind, list[bytes]] = {PartKind.OUTPUT: [], PartKind.ERROR: []}
        self._bytes, self._flushed_at = 0, clock()
        self._tokens = [0, 0]
        self._attempts = {int(line): Attempts(*counts) for line, counts in batch.tries.items()}

    @property
    def has_room(self) -> bool:
        """Whether another request may be given out."""
        return len(self._given) < WINDOW

    def requests(self, stored: Seekable) -> Iterator[Request]:
        """The requests that are not done, in order; ask for one only while there is room."""
        for line in lines_of(stored, line=self._line, offset=self._offset):
            self._given.append((line.number, line.end))
            if line.number not in self._done:
                yield read_request(line, self._batch.endpoint)
            else:
                self._advance()

    def settle(self, request: Request, answer: Answer) -> None:
        """The request is done: its answer goes to the output, or as a refusal to the errors."""
        kind = PartKind.OUTPUT if answer.status < 400 else PartKind.ERROR
        line = line_of(self._batch, request, answer, self.attempts_at(request).made)
        self._attempts.pop(request.number, None)
        self._lines[kind].append(line)
        self._bytes += len(line)
        for place, count in enumerate(tokens_of(answer)):
            self._tokens[place] += count
        self._done.add(request.number)
        self._advance()

    def attempts_at(self, request: Request) -> Attempts:
        """The attempts at a request until now."""
        return self._attempts.get(request.number, Attempts())

    def try_again(self, request: Request, *, broken: bool) -> None:
        """The request is to be made once more; under another id, since this attempt's use may be recorded.

        Raises `LeaseLost`.
        """
        before = self.attempts_at(request)
        self._attempts[request.number] = Attempts(before.made + 1, before.broken + broken)
        self._lease.change(tries=self._tries_as_kept())

    def flush_if_due(self) -> None:
        """Store what waits, once it is old or large. Raises what `flush` raises."""
        waited = self._clock() - self._flushed_at
        if self._bytes >= FLUSH_BYTES or (waited >= FLUSH_SECONDS and self._bytes):
            self.flush()

    def flush(self) -> None:
        """Store answers and how far the batch is, or neither. Raises `LeaseLost`, `StorageUnavailable`."""
        organization_id = self._lease.organization_id
        made = [
            parts.store(organization_id, self._batch.pk, kind, lines)
            for kind, lines in self._lines.items()
            if lines
        ]
        try:
            with acting_for(organization_id):
                self._lease.lock()
                BatchPart.objects.bulk_create(made)
                self._lease.change(**self._changes())
        except LeaseLost:
            parts.discard(organization_id, made)
            raise
        for lines in self._lines.values():
            lines.clear()
        self._bytes, self._flushed_at, self._tokens = 0, self._clock(), [0, 0]

    def _changes(self) -> dict[str, Any]:
        output, error = (len(self._lines[kind]) for kind in (PartKind.OUTPUT, PartKind.ERROR))
        changes = {
            "line": self._line,
            "offset": self._offset,
            "ahead": sorted(self._done),
            "tries": self._tries_as_kept(),
            "completed": F("completed") + output,
            "failed": F("failed") + error,
            "input_tokens": F("input_tokens") + self._tokens[0],
            "output_tokens": F("output_tokens") + self._tokens[1],
        }
        # It goes on: what went wrong before does not count against it any more.
        return {**changes, "setbacks": 0} if output or error else changes

    def _tries_as_kept(self) -> dict[str, Any]:
        return {str(line): astuple(attempts) for line, attempts in self._attempts.items()}

    def _advance(self) -> None:
        while self._given and self._given[0][0] in self._done:
            self._line, self._offset = self._given.popleft()
            self._done.discard(self._line)


def line_of(batch: Batch, request: Request, answer: Answer, tries: int) -> bytes:
    """The answer as a line of an output file, in OpenAI's form."""
    identifier = request_id_of(batch.pk, request.number, tries).hex
    response = {
        "status_code": answer.status,
        "request_id": f"req_{identifier}",
        "body": orjson.Fragment(answer.body),
    }
    return _encoded(identifier, request.custom_id, response=response, error=None)


def unanswered_line(batch: Batch, request: Request, error: dict[str, str]) -> bytes:
    """The line of the error file for a request that was never made, or never to its end."""
    return _encoded(
        request_id_of(batch.pk, request.number, 0).hex, request.custom_id, response=None, error=error
    )


def tokens_of(answer: Answer) -> tuple[int, int]:
    """Input and output tokens of an answer, whichever of OpenAI's addresses gave it."""
    body = orjson.loads(answer.body) if answer.status < 400 else {}
    usage = body.get("usage") or {}
    given = usage.get("prompt_tokens", usage.get("input_tokens", 0))
    made = usage.get("completion_tokens", usage.get("output_tokens", 0))
    return int(given or 0), int(made or 0)


def _encoded(identifier: str, custom_id: str, **rest: Any) -> bytes:
    return orjson.dumps({"id": f"batch_req_{identifier}", "custom_id": custom_id, **rest}) + b"\n"
