"""A request that may run."""

from dataclasses import dataclass, replace
from functools import cached_property
from uuid import UUID

from inference.backends.interface import GenerationCall
from inference.gateway.admission.admitting import Reservation
from inference.gateway.contract import GenerationRequest, Principal
from inference.gateway.entries import Deployment
from inference.gateway.policy.notes import GuardNotes
from inference.gateway.routing.fairness import Class
from inference.gateway.routing.turns import Turn

_HIGH_SEED = 2**62


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A request that may run: what will be called, for whom, under which id. `created` is in Unix seconds.

    `calls` has one for each prompt, `prompt_tokens` its length where it had to be counted.
    `guardrails` takes down what the deployment's policy found, where it looks for anything.
    """

    request_id: UUID
    principal: Principal
    request: GenerationRequest
    deployment: Deployment
    calls: tuple[GenerationCall, ...]
    prompt_tokens: tuple[int | None, ...]
    reservation: Reservation | None = None
    guardrails: GuardNotes | None = None

    @property
    def call(self) -> GenerationCall:
        """The first prompt's."""
        return self.calls[0]

    @property
    def turn(self) -> Turn:
        """Whose it is where servers have no room, and when it goes."""
        request = self.request
        return turn_of(self.principal, flexible=request.flexible, patience_seconds=request.patience_seconds)

    @cached_property
    def request_name(self) -> str:
        """The id as text."""
        return str(self.request_id)

    @property
    def created(self) -> int:
        """The second in which the request was made, from its id."""
        return (self.request_id.int >> 80) // 1000

    @property
    def answers(self) -> int:
        """How many are generated, of all prompts together."""
        return len(self.calls) * self.request.candidates

    def call_for(self, index: int) -> GenerationCall:
        """What the pod gets for an answer. Where there is a seed, each of several has its own."""
        prompt, place = divmod(index, self.request.candidates)
        call = self.calls[prompt]
        if call.seed is None or not place:
            return call
        return replace(call, seed=call.seed + (place if call.seed < _HIGH_SEED else -place))


def turn_of(principal: Principal, *, flexible: bool, patience_seconds: float | None) -> Turn:
    """Batches, and what its caller calls flexible, go after what somebody waits for."""
    return Turn(
        organization_id=principal.organization_id,
        priority=Class.BATCH if principal.batch or flexible else Class.INTERACTIVE,
        patience_seconds=patience_seconds,
    )
