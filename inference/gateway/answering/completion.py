"""The path of a completion: resolve the model, fit the call, generate, verify who answered, meter."""

import asyncio
import hmac
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from uuid import UUID

import structlog

from inference.backends.faults import BackendFault, CannotCount
from inference.backends.interface import GenerationCall, TokenPlace
from inference.gateway.admission.admitting import Admission, Need
from inference.gateway.answering.choices import Choices
from inference.gateway.answering.generation import Generation
from inference.gateway.answering.translation import gateway_fault
from inference.gateway.authentication import must, refuse
from inference.gateway.cache.answers import AnswerCache
from inference.gateway.contract import (
    Finished,
    GatewayConfig,
    GenerationEvent,
    GenerationRequest,
    Principal,
)
from inference.gateway.entries import Deployment, ProjectEntry
from inference.gateway.faults import (
    GatewayOverloaded,
    InvalidRequest,
    MeteringUnavailable,
    ModelNotAllowed,
    ModelNotFound,
    ModelNotReady,
    ModelUnreachable,
)
from inference.gateway.ids import rendered, uuid7
from inference.gateway.metering.ledger import Ledger
from inference.gateway.metering.meter import Meter
from inference.gateway.metering.usage import Status
from inference.gateway.planning.plans import Plan
from inference.gateway.planning.prompts import calls_of, fitted, prompt_bound, surely_fits
from inference.gateway.policy.applying import governed
from inference.gateway.policy.notes import GuardNotes, notes_for
from inference.gateway.routing.dispatch import Dispatcher
from inference.gateway.snapshot import Snapshot

log = structlog.get_logger("inference.gateway")

# Characters of a prompt: some 10 ms of guardrails.
_LOOKED_THROUGH_AT_ONCE = 10_000
_SALT_LABEL = b"prefix cache of "
_NOT_COUNTED = (None,)
Calls = tuple[GenerationCall, ...]


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
        cache: AnswerCache,
    ) -> None:
        self._config, self._snapshot, self._dispatcher, self._meter = config, snapshot, dispatcher, meter
        self._admission, self._cache = admission, cache
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
        self, principal: Principal, request: GenerationRequest, *, request_id: UUID | None = None
    ) -> Plan:
        """Check everything that can be checked before the model is asked. Raises `GatewayFault`."""
        deployment = await self.usable(principal, request.model)
        notes = notes_for(deployment.policy)
        request = await self._governed(request, deployment, notes)
        calls, prompt_tokens = await self._fitted(
            self._salted(calls_of(request, deployment), deployment, principal), deployment, request
        )
        request_id = request_id or uuid7()
        need = self._need(request_id, request, deployment, calls, prompt_tokens)
        # Last, so that nothing is reserved for what is refused for another reason.
        reservation = await self._admission.admit(principal, need)
        return Plan(
            request_id=request_id,
            principal=principal,
            request=request,
            deployment=deployment,
            calls=calls,
            prompt_tokens=prompt_tokens,
            reservation=reservation,
            guardrails=notes,
        )

    @staticmethod
    async def _governed(
        request: GenerationRequest, deployment: Deployment, notes: GuardNotes | None
    ) -> GenerationRequest:
        """As the policy lets it be; what is long is looked through beside the requests of others."""
        if notes is None or request.characters <= _LOOKED_THROUGH_AT_ONCE:
            return governed(request, deployment.policy, notes)
        return await asyncio.to_thread(governed, request, deployment.policy, notes)

    async def usable(self, principal: Principal, model: str) -> Deployment:
        """The deployment, if the caller may use it and it can serve now. Raises `GatewayFault`."""
        must(principal, "inference.complete")
        if not self._meter.accepting:
            raise MeteringUnavailable(
                "Usage cannot be recorded at the moment. Please retry shortly.", retry_after_seconds=5
            )
        most = self._config.max_concurrent_requests
        if self._running >= most and self._running - self._dispatcher.waiting >= most:
            raise GatewayOverloaded(
                "Too many requests are running. Please retry shortly.", retry_after_seconds=1
            )
        deployment = await self.deployment(principal, model)
        if deployment.state != "ready":
            raise _not_ready(deployment)
        return deployment

    @contextmanager
    def counted(self, requests: int) -> Iterator[None]:
        """So many more are running."""
        self._running += requests
        try:
            yield
        finally:
            self._running -= requests

    async def _fitted(
        self, wished: Calls, deployment: Deployment, request: GenerationRequest
    ) -> tuple[Calls, tuple[int | None, ...]]:
        """The calls that fit, and of each prompt the length where it had to be counted."""
        if len(wished) == 1 and surely_fits(wished[0], deployment):
            return wished, _NOT_COUNTED
        try:
            fits = await asyncio.gather(
                *(fitted(call, deployment, self._dispatcher, request) for call in wished)
            )
        except BackendFault as fault:
            raise gateway_fault(fault, request.subject) from fault
        return tuple(call for call, _ in fits), tuple(tokens for _, tokens in fits)

    def _salted(self, calls: Calls, deployment: Deployment, principal: Principal) -> Calls:
        """With the organization's salt, where servers keep their prefix caches apart by one."""
        if "cache_salt" not in deployment.features:
            return calls
        salt = hmac.digest(
            self._config.api_key_pepper, _SALT_LABEL + principal.organization_id.encode(), "sha256"
        )
        return tuple(replace(call, cache_salt=salt.hex()) for call in calls)

    async def tokens(self, principal: Principal, deployment: Deployment, text: str) -> list[TokenPlace]:
        """The tokens of a text as the deployment reads it. It counts as a request that uses none.

        Raises `GatewayFault`.
        """
        if deployment.state != "ready":
            raise _not_ready(deployment)
        held = await self._admission.admit(principal, Need(uuid7(), deployment, 0, 0, None))
        try:
            call = GenerationCall(prompt=text, adapter_id=deployment.adapter_id, max_new_tokens=1)
            return await self._dispatcher.tokens(deployment, call)
        except CannotCount as fault:
            raise InvalidRequest("This model's server does not tell the tokens of a text.") from fault
        except BackendFault as fault:
            raise gateway_fault(fault, "prompt") from fault
        finally:
            if held is not None:
                held.settle(0, 0)

    async def check_health(self, deployment: Deployment) -> None:
        """Raise `ModelNotReady` or `ModelUnreachable` unless it, and one of its servers, can serve."""
        if deployment.state != "ready":
            raise _not_ready(deployment)
        if not await self._dispatcher.healthy(deployment):
            raise ModelUnreachable("The model cannot be reached at the moment.", retry_after_seconds=2)

    def _need(
        self,
        request_id: UUID,
        request: GenerationRequest,
        deployment: Deployment,
        calls: Calls,
        prompt_tokens: tuple[int | None, ...],
    ) -> Need:
        """What the request may use at most: each prompt once, and every answer in full."""
        prompts = list(zip(calls, prompt_tokens, strict=True))

        async def count() -> int:
            return sum(
                [
                    await self._dispatcher.count_tokens(deployment, call) if known is None else known
                    for call, known in prompts
                ]
            )

        return Need(
            request_id=request_id,
            deployment=deployment,
            prompt_bound=sum([prompt_bound(call) if known is None else known for call, known in prompts]),
            answer_tokens=sum([call.max_new_tokens for call in calls]) * request.candidates,
            count=count if None in prompt_tokens else None,
        )

    async def run(self, plan: Plan) -> AsyncGenerator[GenerationEvent, None]:
        """The events of an answer, as `ChatCompleter.complete` describes them."""
        ledger = Ledger(
            self._meter, principal=plan.principal, deployment=plan.deployment, surface=plan.request.surface
        )
        ledger.reservation, ledger.guardrails = plan.reservation, plan.guardrails
        choices = Choices(
            [Generation(plan, index, ledger, self._dispatcher, self._cache) for index in range(plan.answers)]
        )
        status: Status = "cancelled"
        with self.counted(plan.answers):
            events = choices.events()
            try:
                async for event in events:
                    yield event
                ledger.prompt_tokens = choices.prompt_tokens
                if ledger.prompt_tokens is None:
                    ledger.prompt_tokens = await self._count_late(plan, choices)
                safe = ledger.settle(plan.request_name, "completed", choices.reason)
                if safe is not None:
                    await safe
                yield Finished(choices.reason, ledger.usage)
            except BackendFault as fault:
                status = "failed"
                raise gateway_fault(fault, plan.request.subject) from fault
            except Exception:
                status = "failed"
                raise
            finally:
                try:
                    # First, so that nobody else reads what is counted now.
                    await events.aclose()
                finally:
                    self._end(plan, choices, ledger, status)

    @staticmethod
    async def _count_late(plan: Plan, choices: Choices) -> int | None:
        try:
            return await choices.count_prompts()
        except BackendFault as fault:
            # The answer is complete; only its price is less certain.
            log.warning("end_not_seen", request_id=plan.request_name, fault=type(fault).__name__)
            return None

    @staticmethod
    def _end(plan: Plan, choices: Choices, ledger: Ledger, status: Status) -> None:
        """Leave the server alone and settle, if that was not done: the caller left, or the model failed."""
        choices.close()
        if not ledger.settled:
            ledger.settle_partial(plan.request_name, status, choices)


def _not_ready(deployment: Deployment) -> ModelNotReady:
    return ModelNotReady(
        f"The model `{deployment.alias}` is not ready: its deployment is {deployment.state}.",
        param="model",
        retry_after_seconds=5,
    )


def may_use(principal: Principal, project: ProjectEntry | None, model: str) -> bool:
    """Whether the caller's key and the project's list let a model of this name be used."""
    if principal.models and model not in principal.models:
        return False
    return project is None or project.allows(model)
