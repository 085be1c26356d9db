"""One turn of a batch: its requests are made, a few side by side, until all are or others have their turn."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait

from inference.batches.asking import Answer, Asked, Question
from inference.batches.execution.leases import Lease
from inference.batches.execution.progress import Progress
from inference.batches.lines import Request, request_id_of
from inference.batches.models import Batch
from inference.batches.pace import BROKEN, Pace, is_worth_another_try
from inference.batches.states import Ends
from kernel.storage import objects
from kernel.storage.errors import ObjectMissing

TURN_SECONDS = 60.0
# A batch that is to wait longer lets others go first.
LONG_REST_SECONDS = 5.0
# A limit may be raised before it resets.
MAX_REST_SECONDS = 300.0
LOOK_SECONDS = 0.5
# What is under way when the process is told to stop has so long to end.
STOP_SECONDS = 4.0
REFUSED = frozenset({401, 403})

# Set when the process is told to stop.
stopping = threading.Event()


class Turn:
    """Works on one batch whose lease is held."""

    def __init__(
        self, lease: Lease, batch: Batch, gateway: Asked, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lease, self._batch, self._gateway, self._clock = lease, batch, gateway, clock
        self._progress = Progress(lease, batch, clock)
        self._pace = Pace(clock)
        self._asked: dict[Future[Answer], Request] = {}
        self._again: deque[Request] = deque()
        self._exhausted = False
        self._over_at = clock() + TURN_SECONDS
        self._stopped_at: float | None = None

    def take(self) -> float | None:
        """Make requests; None once all are done, else for how many seconds the batch is to rest.

        What was answered is stored in any case but a lost lease. Raises `LeaseLost`, `Ends`, `ObjectMissing`,
        `StorageUnavailable`.
        """
        with objects.open_object(self._batch.organization_id, self._batch.input_file.object_key) as stored:
            try:
                self._work(self._progress.requests(stored))
            except (Ends, ObjectMissing):
                self._abandon()
                self._progress.flush()
                raise
            finally:
                self._abandon()
        self._progress.flush()
        return None if self._is_done else min(self._pace.rest, MAX_REST_SECONDS)

    @property
    def _is_done(self) -> bool:
        return self._exhausted and not self._again and not self._asked

    def _work(self, requests: Iterator[Request]) -> None:
        self._lease.beat()
        while not self._is_done:
            if self._is_over:
                if not self._asked or self._is_late:
                    return
            elif not self._pace.rest:
                self._ask(requests)
            self._wait()
            self._lease.beat()
            self._progress.flush_if_due()

    @property
    def _is_over(self) -> bool:
        """Whether no further request is to be made in this turn."""
        long_rest = self._pace.rest > LONG_REST_SECONDS
        return stopping.is_set() or self._clock() >= self._over_at or long_rest

    @property
    def _is_late(self) -> bool:
        """Whether the process cannot wait any longer for what is under way."""
        if stopping.is_set() and self._stopped_at is None:
            self._stopped_at = self._clock()
        return self._stopped_at is not None and self._clock() - self._stopped_at >= STOP_SECONDS

    def _ask(self, requests: Iterator[Request]) -> None:
        while len(self._asked) < self._pace.width and (request := self._next(requests)) is not None:
            assert self._lease.caller is not None
            tries = self._progress.attempts_at(request).made
            question = Question(
                path=self._batch.endpoint,
                body=request.body,
                principal=self._lease.caller,
                request_id=request_id_of(self._batch.pk, request.number, tries),
            )
            self._asked[self._gateway.ask(question)] = request

    def _next(self, requests: Iterator[Request]) -> Request | None:
        if self._again:
            return self._again.popleft()
        if self._exhausted or not self._progress.has_room:
            return None
        request = next(requests, None)
        self._exhausted = request is None
        return request

    def _wait(self) -> None:
        if not self._asked:
            time.sleep(min(LOOK_SECONDS, self._pace.rest))
            return
        for future in wait(self._asked, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED).done:
            self._receive(self._asked[future], future.result())
            del self._asked[future]

    def _receive(self, request: Request, answer: Answer) -> None:
        if answer.status in REFUSED:
            # Who may not ask any more ends the batch; who may not ask this has one request less.
            self._lease.caller = self._lease.principal()
        if is_worth_another_try(answer, self._progress.attempts_at(request).broken):
            self._pace.slow_down(answer)
            self._progress.try_again(request, broken=answer.status in BROKEN)
            self._again.append(request)
            return
        self._pace.ease()
        self._progress.settle(request, answer)

    def _abandon(self) -> None:
        """End what is under way; it is metered as far as it came, and costs no more when it is made again."""
        for future in self._asked:
            future.cancel()
        self._asked.clear()
