"""The surface `POST /v1/chat/completions`."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from inference.gateway.authentication import Authenticator, must
from inference.gateway.cache.wishes import headers_of, wish_of
from inference.gateway.completion import Completer, Plan
from inference.gateway.contract import ChatEvent, Finished, GatewayConfig, Started, Token
from inference.gateway.faults import GatewayFault, ModelFailed, ModelTimedOut
from inference.gateway.http import Attended, Exchange
from inference.gateway.ids import rendered
from inference.gateway.rendering import KEEP_ALIVE, ChunkWriter, completion_body, fault_event
from inference.gateway.requests import parse_chat_request

_DEADLINE = "The answer took longer than a request may take."


class ChatSurface:
    """Serves chat completions, whole and streamed."""

    def __init__(self, config: GatewayConfig, *, authenticator: Authenticator, completer: Completer) -> None:
        self._config, self._authenticator, self._completer = config, authenticator, completer

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request. Raises `GatewayFault`, `ClientLeft`."""
        principal = await self._authenticator.principal(exchange)
        must(principal, "inference.complete")
        wish = wish_of(exchange.headers)
        request = replace(parse_chat_request(await exchange.body(self._config)), cache=wish)
        plan = await self._completer.plan(principal, request, request_id=exchange.request_id)
        self._describe(exchange, plan)
        try:
            async with (
                Attended(exchange, deadline_seconds=self._config.request_timeout_seconds) as attended,
                aclosing(self._completer.run(plan)) as events,
            ):
                serve = self._stream if request.stream else self._whole
                finished = await serve(exchange, plan, events, attended)
        except TimeoutError:
            raise ModelTimedOut(_DEADLINE) from None
        exchange.facts.update(
            prompt_tokens=finished.usage.prompt_tokens,
            completion_tokens=finished.usage.completion_tokens,
            finish_reason=finished.finish_reason,
        )

    @staticmethod
    def _describe(exchange: Exchange, plan: Plan) -> None:
        deployment, principal = plan.deployment, plan.principal
        model_version = rendered("mv-", deployment.model_version_id)
        exchange.extra_headers += [
            (b"x-loomworks-digest", deployment.digest.encode("latin-1")),
            (b"x-loomworks-model-version", model_version.encode("latin-1")),
        ]
        if plan.reservation is not None:
            exchange.extra_headers += plan.reservation.headers
        exchange.facts.update(
            organization_id=principal.organization_id,
            project_id=principal.project_id,
            key_id=principal.key_id,
            deployment_id=deployment.deployment_id,
            digest=deployment.digest,
            stream=plan.request.stream,
        )

    async def _whole(
        self, exchange: Exchange, plan: Plan, events: AsyncGenerator[ChatEvent, None], attended: Attended
    ) -> Finished:
        tokens: list[Token] = []
        finished: Finished | None = None
        async for event in events:
            if type(event) is Token:
                tokens.append(event)
            elif type(event) is Started:
                self._tell_cache(exchange, event)
            elif type(event) is Finished:
                finished = event
        if finished is None:
            raise ModelFailed("The model failed while it generated the answer.")
        attended.done()
        await exchange.answer(completion_body(plan, tokens, finished))
        return finished

    async def _stream(
        self, exchange: Exchange, plan: Plan, events: AsyncGenerator[ChatEvent, None], attended: Attended
    ) -> Finished:
        await self._await_first(exchange, events)
        writer = ChunkWriter(plan)
        if not exchange.status:
            await exchange.begin_events()
        await exchange.send_events(writer.role())
        recheck_at = time.monotonic() + self._config.recheck_key_seconds
        async for event in events:
            if type(event) is Finished:
                attended.done()
                await exchange.send_events(writer.finish(event), last=True)
                return event
            if type(event) is Token:
                await exchange.send_events(writer.token(event))
                if time.monotonic() >= recheck_at:
                    # A revoked key ends its open streams too.
                    await self._authenticator.principal(exchange)
                    recheck_at = time.monotonic() + self._config.recheck_key_seconds
        raise ModelFailed("The model failed while it generated the answer.")

    async def _await_first(self, exchange: Exchange, events: AsyncGenerator[ChatEvent, None]) -> None:
        """Wait for `Started`, so that a refusal still has its own status.

        When it takes long, the stream is begun all the same and kept alive, lest a proxy cut it; a refusal
        then arrives as an event.
        """
        opening = asyncio.ensure_future(anext(events))
        try:
            while not (await asyncio.wait({opening}, timeout=self._config.keep_alive_seconds))[0]:
                if not exchange.status:
                    await exchange.begin_events()
                await exchange.send_events(KEEP_ALIVE)
        except BaseException:
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
            raise
        started = await opening
        if type(started) is Started:
            self._tell_cache(exchange, started)

    @staticmethod
    def _tell_cache(exchange: Exchange, started: Started) -> None:
        exchange.extra_headers += headers_of(started)
        exchange.facts["cache"] = started.cache


async def end_stream_with(exchange: Exchange, fault: GatewayFault) -> None:
    """Tell a client whose stream has begun what went wrong."""
    await exchange.send_events(fault_event(fault), last=True)
