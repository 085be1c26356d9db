"""One answer under way: open, verify who answers, pass its tokens on, know what it used."""

from collections.abc import AsyncGenerator, Iterator
from functools import partial
from typing import NoReturn

import structlog

from inference.backends.faults import BackendFault
from inference.backends.interface import BackendStream, End, EndReason, Piece
from inference.gateway.answering.choices import AnswerEvent
from inference.gateway.answering.stopping import StopFilter
from inference.gateway.cache.answers import AnswerCache, Opened
from inference.gateway.cache.naming import Question
from inference.gateway.contract import Ended, FinishReason, Started, Token
from inference.gateway.faults import GatewayFault, UnsupportedParameter
from inference.gateway.metering.ledger import Ledger
from inference.gateway.planning.plans import Plan
from inference.gateway.planning.prompts import may_have, prompt_bound
from inference.gateway.policy.guarding import TextGuard, answer_guard
from inference.gateway.requests.tools import MARKERS
from inference.gateway.routing.dispatch import Asker, Dispatcher

log = structlog.get_logger("inference.gateway")

_REASONS: dict[str, FinishReason] = {"length": "length", "eos_token": "stop", "stop_sequence": "stop"}


class Generation:
    """One answer of a plan under way."""

    def __init__(
        self, plan: Plan, index: int, ledger: Ledger, dispatcher: Dispatcher, cache: AnswerCache
    ) -> None:
        request = plan.request
        self._plan, self._index, self._ledger = plan, index, ledger
        self._dispatcher, self._cache = dispatcher, cache
        self._call = plan.call_for(index)
        self._counted = 0
        self._disbelieved = False
        self._stream: BackendStream | None = None
        self._left: list[BackendStream] = []
        self._verbatim = request.verbatim
        self._stops = StopFilter(self._call.stop) if self._call.stop and not request.verbatim else None
        self._guard = answer_guard(plan.deployment.policy, plan.guardrails)
        # The marks of calls are control tokens of some models, and yet to be read.
        self._shown = MARKERS if request.tools else frozenset[str]()
        self._scored = request.logprobs or request.candidates > request.n
        self.prompt = index // request.candidates
        self.prompt_tokens = plan.prompt_tokens[self.prompt]
        self.began = False
        self.reason: FinishReason = "stop"

    async def events(self) -> AsyncGenerator[AnswerEvent, None]:
        """`Started`, tokens and `Ended`; afterwards `reason` and the ledger are final."""
        opened = await self._open()
        stream = self._stream = opened.stream
        self._ledger.note_cache(opened.outcome)
        event = await stream.next()
        if self._scored and isinstance(event, Piece) and event.logprob is None:
            param = "logprobs" if self._plan.request.logprobs else "best_of"
            self._reject(UnsupportedParameter(f"'{param}' is not supported with this model.", param=param))
        self._note(event)
        yield self._started(opened)
        while isinstance(event, Piece):
            if (token := self._token(event)) is not None:
                yield token
            if self._is_over():
                await self._stop_early(stream)
                for last in self._last("stop_sequence"):
                    yield last
                return
            event = await stream.next()
            self._note(event)
        self.reason = _REASONS[event.reason]
        self._learn(event)
        for last in self._last(event.reason):
            yield last

    def _is_over(self) -> bool:
        """Whether nothing that may still come is shown."""
        return (self._stops is not None and self._stops.hit) or (
            self._guard is not None and self._guard.blocked
        )

    def _last(self, reason: EndReason) -> Iterator[AnswerEvent]:
        """What was held back and can be shown, and the end."""
        rest = self._stops.rest() if self._stops is not None else ""
        if self._guard is not None:
            rest = self._guard.feed(rest) + self._guard.rest()
            if self._guard.blocked:
                self.reason = "content_filter"
        if rest:
            yield Token(rest, None, (), self._index)
        yield Ended(self._index, self.reason, reason, self._call.seed)

    def _reject(self, fault: GatewayFault) -> NoReturn:
        """Nothing of this generation is shown, so nothing of it is billed."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        raise fault

    async def _open(self) -> Opened:
        plan, principal = self._plan, self._plan.principal
        choice = self._index % plan.request.candidates
        question = Question(principal.project_id, plan.deployment, self._call, choice)
        begin = partial(
            self._dispatcher.open,
            plan.deployment,
            turn=plan.turn,
            prompt_tokens=self.prompt_tokens,
            asker=Asker(abandon=self._leave, note=self._ledger.note_route),
            # A call that the model had begun to write would be begun anew.
            resumable=plan.request.tools is None,
        )
        return await self._cache.open(principal.organization_id, question, plan.request.cache, begin)

    def _started(self, opened: Opened) -> Started:
        plan = self._plan
        return Started(
            request_id=plan.request_name,
            created=plan.created,
            model=plan.request.model,
            deployment_id=plan.deployment.deployment_id,
            model_version_id=plan.deployment.model_version_id,
            digest=plan.deployment.digest,
            cache=opened.outcome,
            age_seconds=opened.age_seconds,
        )

    def _token(self, piece: Piece) -> Token | None:
        """What is shown of a token: unless verbatim, nothing of control tokens and of stop sequences."""
        if self._guard is not None:
            return self._guarded(piece, self._guard)
        if self._verbatim:
            return Token(
                piece.text, piece.logprob, piece.top, self._index, piece.id, piece.special, piece.last
            )
        if piece.special and piece.text not in self._shown:
            return None
        text = piece.text if self._stops is None else self._stops.feed(piece.text)
        if not self._scored:
            return Token(text, None, (), self._index) if text else None
        return Token(text, piece.logprob, piece.top, self._index)

    def _guarded(self, piece: Piece, guard: TextGuard) -> Token | None:
        """What the policy lets pass so far. Ids and alternatives of tokens would tell what it holds back."""
        if piece.special and piece.text not in self._shown:
            shown = Token(piece.text, piece.logprob, (), self._index, None, True)
            return shown if self._verbatim else None
        text = guard.feed(piece.text if self._stops is None else self._stops.feed(piece.text))
        if not (text or self._verbatim or self._scored):
            return None
        return Token(text, piece.logprob, (), self._index)

    async def _stop_early(self, stream: BackendStream) -> None:
        """The stop sequence is complete. Usually the server saw it too and its end is here already."""
        try:
            event = await stream.next()
            if isinstance(event, End):
                self._learn(event)
                return
            self._note(event)
            self.close()
            await self.rest()
        except BackendFault as fault:
            # The answer is complete; only its price is less certain.
            log.warning("end_not_seen", request_id=self._plan.request_name, fault=type(fault).__name__)

    def _note(self, event: Piece | End) -> None:
        """Count what has arrived before anybody is told: whoever leaves now has caused it."""
        self.began = True
        if isinstance(event, Piece):
            self._count(event.tokens)

    def _count(self, tokens: int) -> None:
        if self._counted + tokens > self._call.max_new_tokens:
            self._disbelieve("tokens", tokens)
            tokens = min(1, tokens)
        self._counted += tokens
        self._ledger.count(tokens)

    def _learn(self, end: End) -> None:
        """The server's own counts are right where ours was a guess, but not what cannot be."""
        if may_have(self._call, end.prompt_tokens):
            self.prompt_tokens = end.prompt_tokens
        else:
            self._disbelieve("prompt_tokens", end.prompt_tokens)
        if 0 <= end.completion_tokens <= max(self._call.max_new_tokens, self._counted):
            self._ledger.correct(end.completion_tokens - self._counted)
            self._counted = end.completion_tokens
        else:
            self._disbelieve("completion_tokens", end.completion_tokens)

    def _disbelieve(self, what: str, told: int) -> None:
        """Said once of each generation: a server may lie at every token."""
        if self._disbelieved:
            return
        self._disbelieved = True
        log.warning("impossible_count", request_id=self._plan.request_name, what=what, told=told)

    def close(self) -> None:
        """Leave the server alone, counting what had arrived."""
        stream, self._stream = self._stream, None
        if stream is not None:
            self._leave(stream)

    def _leave(self, stream: BackendStream) -> None:
        self._left.append(stream)
        self._add(stream, stream.close())

    async def rest(self) -> None:
        """After `close`: count what the server made besides before it stopped, as `BackendStream.rest`."""
        while self._left:
            stream = self._left.pop()
            self._add(stream, await stream.rest())

    def _add(self, stream: BackendStream, tokens: int) -> None:
        if tokens:
            self.began = True
            self._count(tokens)
        self.prompt_tokens = self.prompt_tokens or stream.prompt_tokens

    async def count_prompt(self) -> int:
        """As the server counts it, where that can be. Raises a `BackendFault`."""
        counted = await self._dispatcher.count_tokens(self._plan.deployment, self._call)
        if not may_have(self._call, counted):
            self._disbelieve("prompt_tokens", counted)
            return min(max(counted, 0), prompt_bound(self._call))
        return counted
