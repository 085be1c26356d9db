"""An input file, looked through before any of its requests is made."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from inference.batches.lines import Fault, Line, Request, Seekable, Unusable, lines_of, read_request

MAX_REQUESTS = 50_000
TOLD_FAULTS = 100
DIGEST_BYTES = 16


@dataclass
class Verdict:
    """What was found: how many requests, the model if they name one and the same, and the first faults."""

    total: int = 0
    faults: list[Fault] = field(default_factory=list)
    found_faults: int = 0
    models: set[str] = field(default_factory=set)

    @property
    def model(self) -> str:
        return next(iter(self.models)) if len(self.models) == 1 else ""

    @property
    def told(self) -> list[Fault]:
        """The faults that are shown; the last line says how many more there are."""
        more = self.found_faults - len(self.faults)
        if not more:
            return self.faults
        return [*self.faults, Fault("more_errors", f"{more} more lines of the file have errors.")]

    def blame(self, fault: Fault) -> None:
        """Count a fault, and keep it if there is room."""
        self.found_faults += 1
        if len(self.faults) < TOLD_FAULTS:
            self.faults.append(fault)


def look_through(stored: Seekable, endpoint: str, beat: Callable[[], None]) -> Verdict:
    """Check every line. Memory grows with the number of requests only, by some bytes for each."""
    verdict, seen = Verdict(), dict[bytes, int]()
    for line in lines_of(stored):
        beat()
        verdict.total += 1
        if verdict.total > MAX_REQUESTS:
            verdict.blame(Fault("too_many_requests", f"A batch may have {MAX_REQUESTS} requests; split it."))
            break
        for request in _usable(line, endpoint, verdict):
            _note(request, seen, verdict)
    if not verdict.total:
        verdict.blame(Fault("empty_file", "The file has no requests."))
    return verdict


def _usable(line: Line, endpoint: str, verdict: Verdict) -> Iterator[Request]:
    try:
        yield read_request(line, endpoint)
    except Unusable as unusable:
        verdict.blame(unusable.fault)


def _note(request: Request, seen: dict[bytes, int], verdict: Verdict) -> None:
    digest = hashlib.blake2b(request.custom_id.encode(), digest_size=DIGEST_BYTES).digest()
    first = seen.setdefault(digest, request.number)
    if first != request.number:
        message = f"Its 'custom_id' is that of line {first} too; each must be unique."
        verdict.blame(Fault("duplicate_custom_id", message, "custom_id", request.number))
    # Two are enough to know that there is not one.
    if len(verdict.models) < 2:
        verdict.models.add(request.model)
