"""A generation on a replica: chosen, begun, and gone on with elsewhere if it fails."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import structlog

from inference.backends.directory import BackendDirectory
from inference.backends.faults import (
    BackendFault,
    Broken,
    CannotCount,
    Overloaded,
    Refused,
    TimedOut,
    UnknownAdapter,
    Unreachable,
)
from inference.backends.interface import (
    Backend,
    BackendStream,
    ForwardedAnswer,
    ForwardedCall,
    Forwards,
    GenerationCall,
    TellsTokens,
    TokenPlace,
)
from inference.gateway.entries import Deployment
from inference.gateway.routing.answer import Answer, end_with
from inference.gateway.routing.breaker import Clock, Outcome
from inference.gateway.routing.budget import RetryBudget
from inference.gateway.routing.continuing import Continuing, may_continue
from inference.gateway.routing.replicas import Lease
from inference.gateway.routing.router import Router, Work
from inference.gateway.routing.turns import Turn, Turns
from inference.gateway.routing.waiting import Bounds

# The server's doing or its network's; another may do better.
_TRY_ELSEWHERE = (Unreachable, Overloaded, Broken, TimedOut, UnknownAdapter)
_MOST_PAUSE_SECONDS = 0.05
# A server that dies takes all its answers along: more must be continued at once than is ever tried again.
_CONTINUED_SHARE, _CONTINUED_BURST = 0.5, 256.0
_Told = TypeVar("_Told")

log = structlog.get_logger("inference.gateway")


def close(stream: BackendStream) -> None:
    """Abandon a stream that nobody counts."""
    stream.close()


def unnoted(replica: str) -> None:
    """Nobody wants to know who answers."""


@dataclass(frozen=True, kw_only=True)
class Asker:
    """Who asks for a generation.

    `abandon` gets the streams of whoever leaves while they wait: their servers may have begun. `note` is told
    the name of each replica that answers.
    """

    abandon: Callable[[BackendStream], object] = close
    note: Callable[[str], object] = unnoted


NOBODY = Asker()


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Seconds: for a whole request, for a first token, for room on a server.

    A retry is made only if there is time for one.
    """

    request: float
    first_token: float
    room: float


@dataclass
class _Journey:
    """A request on its way: until when another server may be tried and room be waited for; who has failed."""

    deployment: Deployment
    turn: Turn
    deadline: float
    wait_until: float
    asker: Asker
    failed: set[str] = field(default_factory=set)


class Dispatcher:
    """Begins generations for one gateway process."""

    def __init__(
        self,
        router: Router,
        directory: BackendDirectory,
        *,
        patience: Patience,
        clock: Clock,
        bounds: Bounds | None = None,
        budget: RetryBudget | None = None,
    ) -> None:
        self._turns = Turns(router, clock=clock, bounds=bounds or Bounds())
        self._router, self._directory, self._patience = router, directory, patience
        self._clock, self._budget = clock, budget or RetryBudget()
        self._continuations = RetryBudget(share=_CONTINUED_SHARE, burst=_CONTINUED_BURST)

    @property
    def waiting(self) -> int:
        """Generations that wait for room on a server."""
        return self._turns.waiting

    async def open(
        self,
        deployment: Deployment,
        call: GenerationCall,
        *,
        turn: Turn,
        prompt_tokens: int | None = None,
        resumable: bool = False,
        asker: Asker = NOBODY,
    ) -> BackendStream:
        """Begin a generation and wait for its first event.

        Raises the `BackendFault` of the last attempt, `NoTurn` where there was no room in time.

        A `resumable` one goes on at another replica when its own dies, where the call allows that.
        """
        self._continuations.note_request()
        journey = self._set_out(deployment, turn, asker)
        answer = await self._begun(journey, call, prompt_tokens)
        if not (resumable and len(deployment.backends) > 1 and may_continue(call)):
            return answer
        count = partial(self.count_tokens, deployment, call)
        onward = _Onward(self, journey, answer)
        return Continuing(answer, call, onward, count=count, prompt_tokens=prompt_tokens)

    async def go_on(self, journey: _Journey, died: str, call: GenerationCall, fault: BackendFault) -> Answer:
        """Begin what is left of a generation elsewhere. Raises the fault that ended it where that fails."""
        journey.failed.add(died)
        if not self._may_try(fault, journey) or not self._continuations.take():
            raise fault
        await _pause()
        try:
            answer = await self._begun(journey, call, None)
        except BackendFault as other:
            log.info("not_continued", deployment_id=journey.deployment.deployment_id, fault=_name(other))
            raise fault from None
        log.info("answer_continued", deployment_id=journey.deployment.deployment_id, fault=_name(fault))
        return answer

    async def _begun(self, journey: _Journey, call: GenerationCall, prompt_tokens: int | None) -> Answer:
        deployment = journey.deployment
        work = Work(
            prompt=call.prompt,
            prompt_tokens=prompt_tokens,
            answer_tokens=call.max_new_tokens,
            model=deployment.served_as,
            adapter=deployment.adapter_id is not None,
            salt=call.cache_salt,
        )
        return await self._attempted(journey, work, lambda lease: self._begin(lease, call, journey))

    async def forward(
        self,
        deployment: Deployment,
        call: ForwardedCall,
        *,
        turn: Turn,
        tokens: int,
        asker: Asker = NOBODY,
    ) -> ForwardedAnswer:
        """The whole answer to a call of at most so many tokens. Raises as `open` does."""
        work = Work(
            prompt="",
            prompt_tokens=tokens,
            answer_tokens=0,
            model=deployment.served_as,
            adapter=deployment.adapter_id is not None,
        )
        journey = self._set_out(deployment, turn, asker)
        return await self._attempted(journey, work, lambda lease: self._forward(lease, call, journey))

    def _set_out(self, deployment: Deployment, turn: Turn, asker: Asker) -> _Journey:
        self._budget.note_request()
        now, patience, room = self._clock(), self._patience, self._patience.room
        if turn.patience_seconds is not None:
            room = min(room, turn.patience_seconds)
        deadline = now + patience.request - patience.first_token
        return _Journey(deployment, turn, deadline, now + room, asker)

    async def _attempted(
        self, journey: _Journey, work: Work, attempt: Callable[[Lease], Awaitable[_Told]]
    ) -> _Told:
        deployment, again = journey.deployment, False
        while True:
            lease = await self._turns.lease(
                deployment.backends,
                work,
                journey.turn,
                seconds=journey.wait_until - self._clock(),
                avoid=journey.failed,
                again=again,
            )
            try:
                return await attempt(lease)
            except Overloaded:
                # Not a failure, and no retry: it is let through again when there is room.
                again = True
            except BackendFault as fault:
                journey.failed.add(lease.replica.key)
                if isinstance(fault, UnknownAdapter):
                    lease.replica.lost_adapter(work.model)
                if not self._may_try(fault, journey) or not self._budget.take():
                    raise
                log.info("attempt_failed", deployment_id=deployment.deployment_id, fault=_name(fault))
            await _pause()

    async def count_tokens(self, deployment: Deployment, call: GenerationCall) -> int:
        """Tokens of the prompt, by whichever replica can count. Raises a `BackendFault`."""
        return await self._asked(deployment, lambda server: server.count_tokens(call))

    async def tokens(self, deployment: Deployment, call: GenerationCall) -> list[TokenPlace]:
        """The prompt's tokens, by whichever replica tells them. Raises `CannotCount`, or another fault."""

        async def told(server: Backend) -> list[TokenPlace]:
            if not isinstance(server, TellsTokens):
                raise CannotCount("This model server does not tell the tokens of a text.")
            return await server.tokens(call)

        return await self._asked(deployment, told)

    async def healthy(self, deployment: Deployment) -> bool:
        """Whether a replica says that it can serve."""

        async def well(server: Backend) -> bool:
            if not await server.healthy():
                raise Unreachable("The model server says that it cannot serve.")
            return True

        try:
            return await self._asked(deployment, well)
        except BackendFault:
            return False

    async def _asked(self, deployment: Deployment, ask: Callable[[Backend], Awaitable[_Told]]) -> _Told:
        fault: BackendFault = CannotCount("No server of this model can count tokens.")
        for address in self._router.in_order(deployment.backends):
            try:
                return await ask(self._directory.at(address))
            except (*_TRY_ELSEWHERE, CannotCount) as one:
                fault = one
        raise fault

    async def _begin(self, lease: Lease, call: GenerationCall, journey: _Journey) -> Answer:
        stream: BackendStream | None = None
        begun: list[BackendStream] = []
        try:
            stream = await self._directory.at(lease.address).open(call, begun.append)
            first = await stream.next()
        except BackendFault as fault:
            if stream is not None:
                stream.close()
            end_with(lease, fault)
            raise
        except BaseException:
            for one in begun if stream is None else [stream]:
                journey.asker.abandon(one)
            lease.end(Outcome.UNKNOWN)
            raise
        lease.first_token()
        journey.asker.note(lease.replica.shared_name)
        return Answer(stream, first, lease)

    async def _forward(self, lease: Lease, call: ForwardedCall, journey: _Journey) -> ForwardedAnswer:
        server = self._directory.at(lease.address)
        try:
            if not isinstance(server, Forwards):
                raise Refused("Servers of this kind answer nothing but generations.")
            answer = await server.forward(call)
        except BackendFault as fault:
            end_with(lease, fault)
            raise
        except BaseException:
            lease.end(Outcome.UNKNOWN)
            raise
        lease.end(Outcome.WELL)
        journey.asker.note(lease.replica.shared_name)
        return answer

    def _may_try(self, fault: BackendFault, journey: _Journey) -> bool:
        """Whether another server may do better, and there is one, and time."""
        return (
            isinstance(fault, _TRY_ELSEWHERE)
            and self._clock() < journey.deadline
            and self._router.has_other(journey.deployment.backends, journey.failed)
        )


class _Onward:
    """How one answer goes on: each time away from the replica that it was at."""

    def __init__(self, dispatcher: Dispatcher, journey: _Journey, answer: Answer) -> None:
        self._dispatcher, self._journey, self._at = dispatcher, journey, answer.replica

    async def __call__(self, call: GenerationCall, fault: BackendFault) -> BackendStream:
        answer = await self._dispatcher.go_on(self._journey, self._at, call, fault)
        self._at = answer.replica
        return answer


async def _pause() -> None:
    """What failed for many at once is not to arrive at one other server at once."""
    await asyncio.sleep(random.uniform(0.0, _MOST_PAUSE_SECONDS))  # noqa: S311


def _name(fault: BackendFault) -> str:
    return type(fault).__name__
