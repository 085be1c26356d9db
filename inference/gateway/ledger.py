"""What one request used, written exactly once whatever becomes of it."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from inference.backends.faults import BackendFault
from inference.backends.interface import End
from inference.gateway.admission import Reservation
from inference.gateway.contract import FinishReason, Principal, Usage
from inference.gateway.entries import Deployment
from inference.gateway.metering import Meter
from inference.gateway.usage import Status, UsageRecord

log = structlog.get_logger("inference.gateway")


class Ledger:
    """Counts the tokens of one request as they pass and settles with the meter."""

    def __init__(self, meter: Meter, *, principal: Principal, deployment: Deployment, surface: str) -> None:
        self._meter, self._principal, self._deployment = meter, principal, deployment
        self._surface = surface
        self._started_at, self._clock = time.time(), time.monotonic()
        self._first_token_ms: float | None = None
        self._settled = False
        self.prompt_tokens: int | None = None
        self.completion_tokens = 0
        self.reservation: Reservation | None = None

    def count(self, tokens: int = 1) -> None:
        """Tokens have arrived from the model."""
        if self._first_token_ms is None and tokens:
            self._first_token_ms = self._elapsed_ms()
        self.completion_tokens += tokens

    def learn(self, end: End) -> None:
        """The generation is complete, and the server's own counts are right where ours was a guess."""
        self.prompt_tokens = end.prompt_tokens
        self.completion_tokens = end.completion_tokens

    @property
    def usage(self) -> Usage:
        """As it stands."""
        return Usage(self.prompt_tokens or 0, self.completion_tokens)

    def settle(
        self, request_id: str, status: Status, finish_reason: FinishReason | None = None
    ) -> asyncio.Future[None] | None:
        """Hand the record over; the first call counts, later ones do nothing."""
        if self._settled:
            return None
        self._settled = True
        if self.reservation is not None:
            self.reservation.settle(self.prompt_tokens or 0, self.completion_tokens)
        principal, deployment = self._principal, self._deployment
        record = UsageRecord(
            request_id=request_id,
            organization_id=principal.organization_id,
            project_id=principal.project_id,
            key_id=principal.key_id,
            user_id=principal.user_id,
            deployment_id=deployment.deployment_id,
            model_version_id=deployment.model_version_id,
            model=deployment.alias,
            digest=deployment.digest,
            surface=self._surface,
            prompt_tokens=self.prompt_tokens or 0,
            completion_tokens=self.completion_tokens,
            status=status,
            finish_reason=finish_reason,
            started_at=self._started_at,
            first_token_ms=self._first_token_ms,
            duration_ms=self._elapsed_ms(),
        )
        return self._meter.record(record)

    def settle_partial(self, request_id: str, status: Status, count: Callable[[], Awaitable[int]]) -> None:
        """Settle a request that ended early; the pod is then asked how long the prompt was.

        A request that failed before its first token used nothing that is billed.
        """
        if self._settled or self.prompt_tokens is not None or not self.completion_tokens:
            self.settle(request_id, status)
            return
        self._meter.adopt(self._settle_later(request_id, status, count))

    async def _settle_later(
        self, request_id: str, status: Status, count: Callable[[], Awaitable[int]]
    ) -> None:
        try:
            self.prompt_tokens = await count()
        except BackendFault as fault:
            log.warning("prompt_not_counted", request_id=request_id, fault=type(fault).__name__)
        finally:
            self.settle(request_id, status)

    def _elapsed_ms(self) -> float:
        return round((time.monotonic() - self._clock) * 1000, 3)
