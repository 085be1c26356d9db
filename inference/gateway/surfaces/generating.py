"""A surface that generates: what is the same whichever API asks, whole and streamed."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from functools import lru_cache
from typing import Protocol

from inference.gateway.admission.admitting import Reservation
from inference.gateway.answering.answers import Answer, gathered
from inference.gateway.answering.completion import Completer
from inference.gateway.authentication import Authenticator
from inference.gateway.cache.wishes import headers_of, wish_of
from inference.gateway.contract import (
    Ended,
    Finished,
    GatewayConfig,
    GenerationEvent,
    GenerationRequest,
    Principal,
    Started,
    Token,
)
from inference.gateway.entries import Deployment
from inference.gateway.faults import ModelFailed, ModelTimedOut
from inference.gateway.http import KEEP_ALIVE, Attended, Exchange, Headers
from inference.gateway.ids import rendered
from inference.gateway.planning.plans import Plan
from inference.gateway.surfaces.patience import patience_of

# The mark that Article 50(2) of Regulation (EU) 2024/1689 wants of what is generated.
AI_GENERATED = (b"x-loomworks-ai-generated", b"true")
_DEADLINE = "The answer took longer than a request may take."
Finish = Callable[[], Awaitable[None]]
"""What is done once an answer is written, before the last of it is sent."""


async def nothing_more() -> None:
    """Nothing is done."""


class EventWriter(Protocol):
    """Writes the events of one stream."""

    def begin(self) -> bytes:
        """What comes before the first token."""
        ...

    def token(self, token: Token) -> bytes:
        """One token's."""
        ...

    def ended(self, ended: Ended) -> bytes:
        """What tells that one of the answers is complete."""
        ...

    def finish(self, finished: Finished) -> bytes:
        """What comes last."""
        ...


class Dialect(Protocol):
    """How one API writes what the model says."""

    def whole(self, exchange: Exchange, plan: Plan, answer: Answer) -> bytes:
        """The body of a whole answer; may add headers to the exchange."""
        ...

    def writer(self, plan: Plan) -> EventWriter:
        """For the events of a stream."""
        ...


def describe(exchange: Exchange, deployment: Deployment, reservation: Reservation | None) -> None:
    """Tell in the answer's headers and in the log which model answers, and what is left of the limits."""
    exchange.extra_headers += _headers_of(deployment.digest, deployment.model_version_id)
    if reservation is not None:
        exchange.extra_headers += reservation.headers
    exchange.facts.update(deployment_id=deployment.deployment_id, digest=deployment.digest)


@lru_cache(maxsize=4096)
def _headers_of(digest: str, model_version_id: str) -> Headers:
    told = [(b"x-loomworks-digest", digest.encode("latin-1"))]
    if model_version_id:
        # A base model has no version but its digest.
        model_version = rendered("mv-", model_version_id)
        told.append((b"x-loomworks-model-version", model_version.encode("latin-1")))
    return told


class GenerationSurface:
    """Serves generations of any API."""

    def __init__(self, config: GatewayConfig, *, authenticator: Authenticator, completer: Completer) -> None:
        self._config, self._authenticator, self._completer = config, authenticator, completer

    async def generate(
        self,
        exchange: Exchange,
        principal: Principal,
        request: GenerationRequest,
        dialect: Dialect,
        finish: Finish = nothing_more,
    ) -> None:
        """Answer one request. Raises `GatewayFault`, `ClientLeft`, and what `finish` raises."""
        wish, patience = wish_of(exchange.headers), patience_of(exchange.headers)
        if wish != request.cache or patience is not None:
            request = replace(request, cache=wish, patience_seconds=patience)
        plan = await self._completer.plan(principal, request, request_id=exchange.request_id)
        describe(exchange, plan.deployment, plan.reservation)
        exchange.facts["stream"] = request.stream
        try:
            async with (
                Attended(exchange, deadline_seconds=self._config.request_timeout_seconds) as attended,
                aclosing(self._completer.run(plan)) as events,
            ):
                if plan.request.stream:
                    finished, last = await self._stream(exchange, dialect.writer(plan), events, attended)
                    await finish()
                    await exchange.send_events(last, last=True)
                else:
                    answer = await gathered(plan, events)
                    finished = answer.finished
                    attended.done()
                    self._tell_cache(exchange, answer.started)
                    body = dialect.whole(exchange, plan, answer)
                    await finish()
                    exchange.extra_headers.append(AI_GENERATED)
                    await exchange.answer(body)
        except TimeoutError:
            raise ModelTimedOut(_DEADLINE) from None
        exchange.facts.update(
            prompt_tokens=finished.usage.prompt_tokens,
            completion_tokens=finished.usage.completion_tokens,
            finish_reason=finished.finish_reason,
        )

    async def _stream(
        self,
        exchange: Exchange,
        writer: EventWriter,
        events: AsyncGenerator[GenerationEvent, None],
        attended: Attended,
    ) -> tuple[Finished, bytes]:
        """Send all but the last of the events; answers how it ended, and them."""
        await self._begin(exchange, writer, events)
        # What tells an answer's end waits for the next event: of a single answer all ends are sent at once.
        waiting = b""
        recheck_at = time.monotonic() + self._config.recheck_key_seconds
        async for event in events:
            if type(event) is Token:
                if told := waiting + writer.token(event):
                    await exchange.send_events(told)
                waiting = b""
                if time.monotonic() >= recheck_at:
                    # A revoked key ends its open streams too.
                    await self._authenticator.principal(exchange)
                    recheck_at = time.monotonic() + self._config.recheck_key_seconds
            elif type(event) is Ended:
                waiting += writer.ended(event)
            elif type(event) is Finished:
                attended.done()
                return event, waiting + writer.finish(event)
        raise ModelFailed("The model failed while it generated the answer.")

    async def _begin(
        self, exchange: Exchange, writer: EventWriter, events: AsyncGenerator[GenerationEvent, None]
    ) -> None:
        await self._await_first(exchange, events)
        await self._begin_events(exchange)
        if before := writer.begin():
            await exchange.send_events(before)

    async def _await_first(self, exchange: Exchange, events: AsyncGenerator[GenerationEvent, None]) -> None:
        """Wait for `Started`, so that a refusal still has its own status.

        When it takes long, the stream is begun all the same and kept alive, lest a proxy cut it; a refusal
        then arrives as an event.
        """
        opening = asyncio.ensure_future(anext(events))
        try:
            while not (await asyncio.wait({opening}, timeout=self._config.keep_alive_seconds))[0]:
                await self._begin_events(exchange)
                await exchange.send_events(KEEP_ALIVE)
        except BaseException:
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
            raise
        started = await opening
        if type(started) is Started:
            self._tell_cache(exchange, started)

    @staticmethod
    async def _begin_events(exchange: Exchange) -> None:
        if not exchange.status:
            exchange.extra_headers.append(AI_GENERATED)
            await exchange.begin_events()

    @staticmethod
    def _tell_cache(exchange: Exchange, started: Started) -> None:
        exchange.extra_headers += headers_of(started)
        exchange.facts["cache"] = started.cache
