"""What one request used, written exactly once whatever becomes of it."""

import asyncio
import time
from typing import Protocol

import structlog

from inference.backends.faults import BackendFault
from inference.gateway.admission.admitting import Reservation
from inference.gateway.contract import FinishReason, Principal, Usage
from inference.gateway.entries import Deployment
from inference.gateway.metering.meter import Meter
from inference.gateway.metering.usage import CacheOutcome, Status, UsageRecord
from inference.gateway.policy.notes import GuardNotes

# Of the replicas that answered.
_MOST_TOLD = 4

log = structlog.get_logger("inference.gateway")


class Made(Protocol):
    """What was generated of a request, when it is over."""

    @property
    def prompt_tokens(self) -> int | None:
        """Of all prompts to which anything was generated; None where one's are not known."""
        ...

    async def count_prompts(self) -> int:
        """As `prompt_tokens`, asking for what is not known. Raises a `BackendFault`."""
        ...

    async def rest(self) -> None:
        """Count what the model made besides before it stopped."""
        ...


class Ledger:
    """Counts the tokens of one request as they pass and settles with the meter."""

    def __init__(self, meter: Meter, *, principal: Principal, deployment: Deployment, surface: str) -> None:
        self._meter, self._principal, self._deployment = meter, principal, deployment
        self._surface = surface
        self._started_at, self._clock = time.time(), time.monotonic()
        self._first_token_ms: float | None = None
        self._settled = self._settling = False
        self.prompt_tokens: int | None = None
        self.completion_tokens = 0
        self.reservation: Reservation | None = None
        self.cache: CacheOutcome | None = None
        self.guardrails: GuardNotes | None = None
        self._route: list[str] = []

    def count(self, tokens: int = 1) -> None:
        """Tokens have arrived from the model."""
        if self._first_token_ms is None and tokens:
            self._first_token_ms = self._elapsed_ms()
        self.completion_tokens += tokens

    def correct(self, tokens: int) -> None:
        """An answer is complete, and the server counts so many tokens more than came (or fewer)."""
        self.completion_tokens += tokens

    def note_cache(self, outcome: CacheOutcome) -> None:
        """Where an answer came from; of several answers, a hit is only what all of them were."""
        self.cache = outcome if self.cache in (None, outcome) else "miss"

    def note_route(self, replica: str) -> None:
        """A replica answers; several do where there are several answers, or where one's server died."""
        if replica not in self._route:
            self._route.append(replica)

    @property
    def usage(self) -> Usage:
        """As it stands."""
        return Usage(self.prompt_tokens or 0, self.completion_tokens)

    @property
    def settled(self) -> bool:
        """Whether the record was handed over, or will be without further ado."""
        return self._settled or self._settling

    def settle(
        self, request_id: str, status: Status, finish_reason: FinishReason | None = None
    ) -> asyncio.Future[None] | None:
        """Hand the record over; the first call counts, later ones do nothing."""
        if self._settled:
            return None
        self._settled = True
        if self.reservation is not None:
            # Only what a model generates counts towards limits of tokens and spend; what was kept does not.
            generated = self.cache != "hit"
            self.reservation.settle(generated * (self.prompt_tokens or 0), generated * self.completion_tokens)
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
            permission=f"{'key' if principal.key_id else 'role'} inference.complete",
            closest_limit=_closest_limit(self.reservation),
            cache=self.cache or "off",
            route=",".join(self._route[:_MOST_TOLD]) or None,
            guardrail=self.guardrails.told() if self.guardrails else None,
            batch=principal.batch,
        )
        return self._meter.record(record)

    def settle_partial(self, request_id: str, status: Status, made: Made) -> None:
        """Settle a request that ended early, once its model has stopped and its prompt's length is known.

        A request that ended before its first token used nothing that is billed.
        """
        if not self._settled:
            self._settling = True
            self._meter.adopt(self._settle_later(request_id, status, made))

    async def _settle_later(self, request_id: str, status: Status, made: Made) -> None:
        try:
            await made.rest()
            self.prompt_tokens = made.prompt_tokens
            if self.prompt_tokens is None and self.completion_tokens:
                self.prompt_tokens = await made.count_prompts()
        except BackendFault as fault:
            log.warning("prompt_not_counted", request_id=request_id, fault=type(fault).__name__)
        finally:
            self.settle(request_id, status)

    def _elapsed_ms(self) -> float:
        return round((time.monotonic() - self._clock) * 1000, 3)


def _closest_limit(reservation: Reservation | None) -> str | None:
    """The limit of which the least share was left when the request was admitted, and for whom it is."""
    if reservation is None:
        return None
    closest, most = None, -1.0
    for wish, told in zip(reservation.wishes, reservation.told, strict=True):
        bound = wish.bound
        if bound.value and (share := told / bound.value) > most:
            closest, most = bound, share
    return f"{closest.kind} of the {closest.scope}" if closest is not None else None
