"""The path of a completion: resolve the model, fit the call, generate, verify who answered, meter."""

import hmac
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from functools import partial
from typing import NoReturn
from uuid import UUID

import structlog

from inference.backends.faults import BackendFault
from inference.backends.interface import BackendStream, End, GenerationCall, Piece
from inference.gateway.admission import Admission, Need, Reservation
from inference.gateway.authentication import must, refuse
from inference.gateway.contract import (
    ChatEvent,
    ChatRequest,
    Finished,
    FinishReason,
    GatewayConfig,
    Principal,
    Started,
    Token,
    TopLogprob,
)
from inference.gateway.entries import Deployment, ProjectEntry
from inference.gateway.faults import (
    GatewayFault,
    GatewayOverloaded,
    MeteringUnavailable,
    ModelNotAllowed,
    ModelNotFound,
    ModelNotReady,
    UnsupportedParameter,
)
from inference.gateway.ids import rendered, uuid7
from inference.gateway.ledger import Ledger
from inference.gateway.metering import Meter
from inference.gateway.prompts import ADDED_TOKENS, call_of, fitted
from inference.gateway.routing.dispatch import Dispatcher
from inference.gateway.snapshot import Snapshot
from inference.gateway.stopping import StopFilter
from inference.gateway.translation import gateway_fault

log = structlog.get_logger("inference.gateway")

_SALT_LABEL = b"prefix cache of "
_REASONS: dict[str, FinishReason] = {"length": "length", "eos_token": "stop", "stop_sequence": "stop"}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A request that may run: what will be called, for whom, under which id. `created` is in Unix seconds."""

    request_id: UUID
    principal: Principal
    request: ChatRequest
    deployment: Deployment
    call: GenerationCall
    prompt_tokens: int | None
    reservation: Reservation | None = None

    @property
    def created(self) -> int:
        """The second in which the request was made, from its id."""
        return (self.request_id.int >> 80) // 1000


class Completer:
    """Runs completions for every surface."""

    def __init__(
        self,
        config: GatewayConfig,
        *,
        snapshot: Snapshot,
        dispatcher: Dispatcher,
        meter: Meter,
        admission: Admission,
    ) -> None:
        self._config, self._snapshot, self._dispatcher, self._meter = config, snapshot, dispatcher, meter
        self._admission = admission
        self._running = 0

    async def deployment(self, principal: Principal, model: str) -> Deployment:
        """The project's deployment of this alias.

        Raises `ModelNotFound`, `ModelNotAllowed` (there may be none), `Refused`, `SnapshotUnavailable`.
        """
        project = await self._snapshot.project(principal.project_id)
        if project is not None and project.organization_id != principal.organization_id:
            project = None
        refuse(project.refusal if project else None)
        if not may_use(principal, project, model):
            place = rendered("proj_", principal.project_id)
            raise ModelNotAllowed(
                f"Project `{place}`, or this API key, does not have access to model `{model}`.", param="model"
            )
        deployment = project.deployment_for(principal, model) if project else None
        if deployment is None:
            raise ModelNotFound(
                f"The model `{model}` does not exist or you do not have access to it.", param="model"
            )
        return deployment

    async def plan(
        self, principal: Principal, request: ChatRequest, *, request_id: UUID | None = None
    ) -> Plan:
        """Check everything that can be checked before the model is asked. Raises `GatewayFault`."""
        must(principal, "inference.complete")
        if not self._meter.accepting:
            raise MeteringUnavailable(
                "Usage cannot be recorded at the moment. Please retry shortly.", retry_after_seconds=5
            )
        if self._running >= self._config.max_concurrent_requests:
            raise GatewayOverloaded(
                "Too many requests are running. Please retry shortly.", retry_after_seconds=1
            )
        deployment = await self.deployment(principal, request.model)
        if deployment.state != "ready":
            raise ModelNotReady(
                f"The model `{request.model}` is not ready: its deployment is {deployment.state}.",
                param="model",
                retry_after_seconds=5,
            )
        try:
            call = self._salted(call_of(request, deployment), deployment, principal)
            call, prompt_tokens = await fitted(call, deployment, self._dispatcher)
        except BackendFault as fault:
            raise gateway_fault(fault) from fault
        plan = Plan(
            request_id=request_id or uuid7(),
            principal=principal,
            request=request,
            deployment=deployment,
            call=call,
            prompt_tokens=prompt_tokens,
        )
        # Last, so that nothing is reserved for what is refused for another reason.
        reservation = await self._admission.admit(principal, self._need(plan))
        return plan if reservation is None else replace(plan, reservation=reservation)

    def _salted(self, call: GenerationCall, deployment: Deployment, principal: Principal) -> GenerationCall:
        """With the organization's salt, where servers keep their prefix caches apart by one."""
        if "cache_salt" not in deployment.features:
            return call
        salt = hmac.digest(
            self._config.api_key_pepper, _SALT_LABEL + principal.organization_id.encode(), "sha256"
        )
        return replace(call, cache_salt=salt.hex())

    def _need(self, plan: Plan) -> Need:
        """What the request may use at most: a prompt has no more tokens than bytes and a few."""
        known = plan.prompt_tokens
        return Need(
            request_id=plan.request_id,
            deployment=plan.deployment,
            prompt_bound=known if known is not None else len(plan.call.prompt.encode()) + ADDED_TOKENS,
            answer_tokens=plan.call.max_new_tokens,
            count=None
            if known is not None
            else partial(self._dispatcher.count_tokens, plan.deployment, plan.call),
        )

    async def run(self, plan: Plan) -> AsyncGenerator[ChatEvent, None]:
        """The events of an answer, as `ChatCompleter.complete` describes them."""
        ledger = Ledger(
            self._meter, principal=plan.principal, deployment=plan.deployment, surface=plan.request.surface
        )
        ledger.prompt_tokens = plan.prompt_tokens
        ledger.reservation = plan.reservation
        generation = _Generation(plan, ledger, self._dispatcher)
        self._running += 1
        events = generation.events()
        try:
            async for event in events:
                yield event
            safe = ledger.settle(str(plan.request_id), "completed", generation.reason)
            if safe is not None:
                await self._meter.wait_until_safe(safe)
            yield Finished(generation.reason, ledger.usage)
        except BackendFault as fault:
            generation.end("failed")
            raise gateway_fault(fault) from fault
        except Exception:
            generation.end("failed")
            raise
        finally:
            # Reached with nothing settled only when the caller left or was cancelled.
            generation.end("cancelled")
            self._running -= 1
            await events.aclose()


def may_use(principal: Principal, project: ProjectEntry | None, model: str) -> bool:
    """Whether the caller's key and the project's list let a model of this name be used."""
    if principal.models and model not in principal.models:
        return False
    return project is None or project.allows(model)


class _Generation:
    """One plan under way."""

    def __init__(self, plan: Plan, ledger: Ledger, dispatcher: Dispatcher) -> None:
        self._plan, self._ledger, self._dispatcher = plan, ledger, dispatcher
        self._stream: BackendStream | None = None
        self._stops = StopFilter(plan.request.stop) if plan.request.stop else None
        self.reason: FinishReason = "stop"

    async def events(self) -> AsyncGenerator[Started | Token, None]:
        """`Started` and tokens; afterwards `reason` and the ledger are final."""
        plan = self._plan
        stream = self._stream = await self._dispatcher.open(
            plan.deployment, plan.call, prompt_tokens=plan.prompt_tokens
        )
        event = await stream.next()
        if self._plan.request.logprobs and isinstance(event, Piece) and event.logprob is None:
            self._reject(
                UnsupportedParameter("'logprobs' is not supported with this model.", param="logprobs")
            )
        yield self._started()
        while isinstance(event, Piece):
            self._ledger.count(event.tokens)
            if (token := self._token(event)) is not None:
                yield token
            if self._stops is not None and self._stops.hit:
                await self._stop_early(stream)
                return
            event = await stream.next()
        self.reason = _REASONS[event.reason]
        self._ledger.learn(event)
        if self._stops is not None and (rest := self._stops.rest()):
            yield Token(rest)

    def _reject(self, fault: GatewayFault) -> NoReturn:
        """Nothing of this generation is shown, so nothing of it is billed."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        raise fault

    def _started(self) -> Started:
        plan = self._plan
        return Started(
            request_id=str(plan.request_id),
            created=plan.created,
            model=plan.request.model,
            deployment_id=plan.deployment.deployment_id,
            model_version_id=plan.deployment.model_version_id,
            digest=plan.deployment.digest,
        )

    def _token(self, piece: Piece) -> Token | None:
        """What is shown of a token: nothing of control tokens and of stop sequences."""
        if piece.special:
            return None
        text = piece.text if self._stops is None else self._stops.feed(piece.text)
        if not self._plan.request.logprobs:
            return Token(text) if text else None
        return Token(text, piece.logprob, tuple(TopLogprob(*one) for one in piece.top))

    async def _stop_early(self, stream: BackendStream) -> None:
        """The stop sequence is complete. Usually the server saw it too and its end is here already."""
        try:
            event = await stream.next()
            if isinstance(event, End):
                self._ledger.learn(event)
                return
            self._stream = None
            self._ledger.count(event.tokens + stream.close())
            if self._ledger.prompt_tokens is None:
                self._ledger.prompt_tokens = stream.prompt_tokens or await self._count_prompt()
        except BackendFault as fault:
            # The answer is complete; only its price is less certain.
            log.warning("end_not_seen", request_id=str(self._plan.request_id), fault=type(fault).__name__)

    async def _count_prompt(self) -> int:
        return await self._dispatcher.count_tokens(self._plan.deployment, self._plan.call)

    def end(self, status: str) -> None:
        """Leave the server alone and settle, if that was not done."""
        if self._stream is not None:
            self._ledger.count(self._stream.close())
            if self._ledger.prompt_tokens is None:
                self._ledger.prompt_tokens = self._stream.prompt_tokens
            self._stream = None
        self._ledger.settle_partial(
            str(self._plan.request_id),
            "failed" if status == "failed" else "cancelled",
            self._count_prompt,
        )
