"""Surfaces that pass a request to a model server and answer with what it says, once all of it has come."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from inference.backends.faults import BackendFault
from inference.backends.interface import ForwardedCall, GenerationCall
from inference.gateway.admission.admitting import Admission, Need
from inference.gateway.answering.completion import Completer
from inference.gateway.answering.translation import gateway_fault
from inference.gateway.authentication import Authenticator, identified, must
from inference.gateway.contract import GatewayConfig, Principal
from inference.gateway.entries import Deployment
from inference.gateway.faults import ModelTimedOut
from inference.gateway.forwarding.errand import ADDED_TOKENS, Errand, Rendered
from inference.gateway.http import Attended, ClientLeft, Exchange
from inference.gateway.metering.ledger import Ledger
from inference.gateway.metering.meter import Meter
from inference.gateway.metering.usage import Status
from inference.gateway.planning.plans import turn_of
from inference.gateway.policy.applying import check_texts
from inference.gateway.policy.notes import notes_for
from inference.gateway.requests.parameters import document_of
from inference.gateway.routing.dispatch import Asker, Dispatcher
from inference.gateway.routing.turns import Turn
from inference.gateway.surfaces.generating import AI_GENERATED, describe
from inference.gateway.surfaces.patience import patience_of


@dataclass(frozen=True)
class _Place:
    """Where an errand goes, and when."""

    deployment: Deployment
    turn: Turn


class Forwarder:
    """Runs errands: limits, a server, the record of what was used."""

    def __init__(
        self,
        config: GatewayConfig,
        *,
        completer: Completer,
        dispatcher: Dispatcher,
        meter: Meter,
        admission: Admission,
    ) -> None:
        self._config, self._completer, self._dispatcher = config, completer, dispatcher
        self._meter, self._admission = meter, admission

    async def answer(self, exchange: Exchange, principal: Principal, errand: Errand) -> None:
        """Answer one request. Raises `GatewayFault`, `ClientLeft`."""
        deployment = await self._completer.usable(principal, errand.model)
        errand.check(deployment)
        notes = notes_for(deployment.policy)
        if notes is not None:
            check_texts(errand.texts, deployment.policy, notes, errand.subject)
        patience = patience_of(exchange.headers)
        turn = turn_of(principal, flexible=False, patience_seconds=patience)
        ledger = Ledger(self._meter, principal=principal, deployment=deployment, surface=errand.surface)
        ledger.guardrails = notes
        ledger.reservation = await self._admission.admit(principal, self._need(exchange, errand, deployment))
        describe(exchange, deployment, ledger.reservation)
        status: Status = "failed"
        try:
            with self._completer.counted(1):
                await self._run(exchange, errand, _Place(deployment, turn), ledger)
        except (ClientLeft, asyncio.CancelledError):
            status = "cancelled"
            raise
        except TimeoutError:
            raise ModelTimedOut("The answer took longer than a request may take.") from None
        except BackendFault as fault:
            raise gateway_fault(fault, errand.subject) from fault
        finally:
            # Settles only what has not ended well.
            ledger.settle(str(exchange.request_id), status)
        exchange.facts["prompt_tokens"] = ledger.usage.prompt_tokens

    def _need(self, exchange: Exchange, errand: Errand, deployment: Deployment) -> Need:
        async def count() -> int:
            text = "\n".join(errand.texts)
            call = GenerationCall(prompt=text, adapter_id=deployment.adapter_id, max_new_tokens=1)
            counted = await self._dispatcher.count_tokens(deployment, call)
            return counted + ADDED_TOKENS * len(errand.texts)

        counts = count if errand.texts else None
        return Need(exchange.request_id, deployment, errand.most_tokens, 0, counts)

    async def _run(self, exchange: Exchange, errand: Errand, place: _Place, ledger: Ledger) -> None:
        async with Attended(exchange, deadline_seconds=self._config.request_timeout_seconds) as attended:
            rendered = await self._rendered(exchange, errand, place, ledger)
            ledger.prompt_tokens = rendered.usage.prompt_tokens
            ledger.correct(rendered.usage.completion_tokens)
            safe = ledger.settle(str(exchange.request_id), "completed")
            if safe is not None:
                await safe
            attended.done()
            if errand.generates:
                exchange.extra_headers.append(AI_GENERATED)
            await exchange.answer(rendered.body)

    async def _rendered(self, exchange: Exchange, errand: Errand, place: _Place, ledger: Ledger) -> Rendered:
        deployment = place.deployment
        call = ForwardedCall(
            route=errand.route,
            body=errand.body,
            adapter_id=deployment.adapter_id,
            served_as=deployment.served_as,
        )
        asker = Asker(note=ledger.note_route)
        answer = await self._dispatcher.forward(
            deployment, call, turn=place.turn, tokens=errand.most_tokens, asker=asker
        )
        return errand.render(exchange.request_id, answer)


class ForwardedSurface:
    """One address of OpenAI's API whose requests `read` makes errands of."""

    def __init__(
        self,
        config: GatewayConfig,
        *,
        authenticator: Authenticator,
        forwarder: Forwarder,
        read: Callable[[dict[str, Any]], Errand],
    ) -> None:
        self._config, self._authenticator = config, authenticator
        self._forwarder, self._read = forwarder, read

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request. Raises `GatewayFault`, `ClientLeft`."""
        principal = await identified(exchange, self._authenticator)
        must(principal, "inference.complete")
        errand = self._read(document_of(await exchange.body(self._config)))
        await self._forwarder.answer(exchange, principal, errand)
