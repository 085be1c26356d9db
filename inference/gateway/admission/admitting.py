"""Admission: one round trip reserves what a request may use; what it really used takes its place afterwards.

With no limit on a request nothing is asked. While Valkey is away each process admits from its own memory,
under its share of the limits.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from inference.backends.faults import BackendFault
from inference.gateway.admission.bounds import (
    BY_WINDOW,
    CONCURRENT_STREAMS,
    REQUESTS_PER_MINUTE,
    SPEND_PER_MONTH,
    Bound,
    PricesEntry,
    period_of,
)
from inference.gateway.admission.memory import Memory
from inference.gateway.admission.refusals import headers_of, refusal
from inference.gateway.contract import Principal
from inference.gateway.entries import Deployment
from inference.gateway.link import Link, Unreachable, Word
from inference.gateway.snapshot import Snapshot
from inference.gateway.workers import end

SLOT_SECONDS = 60
_RENEW_SECONDS = 15.0
_REST_SECONDS = 1.0
_PROCESSES = "lw:gateway:processes"
_FOLDER = Path(__file__).parent
SCRIPTS = {
    "admit": (_FOLDER / "admit.lua").read_text(),
    "settle": (_FOLDER / "settle.lua").read_text(),
}
_AWAY = (RedisError, OSError, TimeoutError)
_NO_PRICES = PricesEntry({})

log = structlog.get_logger("inference.gateway")


@dataclass(frozen=True)
class Need:
    """What a request may use at most. `count` asks the pod how long the prompt is, where it is not known."""

    request_id: UUID
    deployment: Deployment
    prompt_bound: int
    answer_tokens: int
    count: Callable[[], Awaitable[int]] | None


class Wish(NamedTuple):
    """What a request wants of one counter. `kind`: how Valkey counts it; `slots`: what is reserved of it."""

    bound: Bound
    kind: str
    key: str
    slots: str
    amount: int
    seed: int


@dataclass(frozen=True, eq=False)
class Reservation:
    """What an admitted request holds until it is settled. `told` is what is used now, per wish."""

    admission: "Admission"
    need: Need
    wishes: tuple[Wish, ...]
    prices: PricesEntry
    told: tuple[int, ...]
    admitted_at: int

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """`x-ratelimit-…`, as OpenAI's clients read them."""
        return headers_of([wish.bound for wish in self.wishes], self.told)

    def settle(self, prompt_tokens: int, answer_tokens: int) -> None:
        """Put what was really used in the place of what was reserved. Later calls do nothing."""
        self.admission.settle(self, prompt_tokens, answer_tokens)


class Admission:
    """Admits requests of every surface of one process."""

    def __init__(self, valkey: Redis, link: Link, snapshot: Snapshot) -> None:
        self._valkey, self._link, self._snapshot = valkey, link, snapshot
        self._memory = Memory()
        self._held: set[Reservation] = set()
        self._away_until = float("-inf")
        self._processes = 1
        self._name = uuid4().hex
        self._upkeep: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to renew what is held, and to count the processes that share the limits."""
        self._upkeep = asyncio.create_task(self._tend_forever(), name="gateway-admission")

    async def stop(self) -> None:
        """End. What was settled is on its way."""
        await end([self._upkeep])

    async def admit(self, principal: Principal, need: Need) -> Reservation | None:
        """Reserve what the request may use; None where no limit applies.

        Raises `LimitReached` with the limit's name, value, use and reset, and `SnapshotUnavailable`.
        """
        entry = await self._snapshot.limits(principal.organization_id)
        if entry is None:
            return None
        bounds = entry.met(principal, need.deployment.alias)
        if not bounds:
            return None
        prices = _NO_PRICES
        if any(bound.kind == SPEND_PER_MONTH for bound in bounds):
            prices = await self._snapshot.prices() or _NO_PRICES
        wishes = _wishes(principal.organization_id, bounds, need, prices)
        answer = await self._ask(need, wishes)
        if (
            not answer[0]
            and need.count is not None
            and wishes[answer[2] - 1].bound.kind not in _COUNTED_BY_ONE
        ):
            # The prompt's bytes are more than its tokens: look closely before refusing.
            need = await _counted(need)
            wishes = _wishes(principal.organization_id, bounds, need, prices)
            answer = await self._ask(need, wishes)
        if not answer[0]:
            _, _, place, used, wait_ms = answer
            raise refusal(
                wishes[place - 1].bound, used=used, wanted=wishes[place - 1].amount, wait_ms=wait_ms
            )
        held = Reservation(self, need, wishes, prices, tuple(answer[2:]), int(answer[1]))
        self._held.add(held)
        return held

    def settle(self, held: Reservation, prompt_tokens: int, answer_tokens: int) -> None:
        """See `Reservation.settle`."""
        if held not in self._held:
            return
        self._held.discard(held)
        real = [_real(wish, held, prompt_tokens, answer_tokens) for wish in held.wishes]
        for wish, amount in zip(held.wishes, real, strict=True):
            self._memory.settle(wish.key, wish.bound.kind, wish.amount, amount)
        arguments: list[Word] = [held.need.request_id.hex, held.admitted_at]
        for wish, amount in zip(held.wishes, real, strict=True):
            arguments += (wish.kind, wish.amount, amount)
        self._link.run("settle", _keys(held.wishes), arguments).add_done_callback(_settled)

    async def _ask(self, need: Need, wishes: tuple[Wish, ...]) -> list[int]:
        """Valkey's answer, or this process's own in the same form."""
        if time.monotonic() >= self._away_until:
            arguments: list[Word] = [need.request_id.hex, SLOT_SECONDS]
            for wish in wishes:
                arguments += (wish.kind, wish.bound.value, wish.amount, wish.seed)
            try:
                answer: list[int] = await self._link.run("admit", _keys(wishes), arguments)
            except Unreachable as fault:
                self._away_until = time.monotonic() + _REST_SECONDS
                log.warning("admission_unreachable", error=str(fault))
            else:
                if answer[0]:
                    self._memory.note(wishes, answer[2:])
                return answer
        refused = self._memory.first_refusal(wishes, self._processes)
        if refused is not None:
            return [0, int(time.time()), refused[0] + 1, refused[1], 1000]
        self._memory.note(wishes)
        return [1, int(time.time()), *(wish.amount for wish in wishes)]

    async def _tend_forever(self) -> None:
        while True:
            try:
                await self._tend()
            except _AWAY as error:
                log.warning("admission_upkeep_failed", error=type(error).__name__)
            await asyncio.sleep(_RENEW_SECONDS)

    async def _tend(self) -> None:
        now = time.time()
        pipeline = self._valkey.pipeline(transaction=False)
        pipeline.zadd(_PROCESSES, {self._name: now})
        pipeline.zremrangebyscore(_PROCESSES, "-inf", now - 3 * _RENEW_SECONDS)
        pipeline.zcard(_PROCESSES)
        for held in self._held:
            for wish in held.wishes:
                if wish.kind == "slots":
                    slots = wish.slots
                    member = f"{held.need.request_id.hex}:{wish.amount}"
                    pipeline.zadd(slots, {member: (now + SLOT_SECONDS) * 1000}, xx=True)
                    pipeline.expire(slots, SLOT_SECONDS * 4)
                    pipeline.expire(f"{slots}:sum", SLOT_SECONDS * 4)
        answers = await pipeline.execute()
        self._processes = max(1, int(answers[2]))


def _settled(answer: "asyncio.Future[Any]") -> None:
    fault = answer.exception()
    if fault is not None:
        # The slots expire by themselves, and the database's figures make good what is missing.
        log.warning("settlement_lost", error=str(fault))


_COUNTED_BY_ONE = frozenset({REQUESTS_PER_MINUTE, CONCURRENT_STREAMS})


def _wishes(
    organization_id: str, bounds: tuple[Bound, ...], need: Need, prices: PricesEntry
) -> tuple[Wish, ...]:
    wishes = []
    for bound in bounds:
        period = period_of(bound.kind)
        # One hash slot for all counters of an organization, so that one script may touch them.
        key = f"lw:limit:{{{organization_id}}}:{bound.name}" + (f":{period}" if period else "")
        kind, slots = ("window", key) if bound.kind in BY_WINDOW else ("slots", f"{key}:slots")
        amount = _amount(bound.kind, need.deployment, prices, need.prompt_bound, need.answer_tokens)
        wishes.append(Wish(bound, kind, key, slots, amount, bound.used if bound.period == period else 0))
    return tuple(wishes)


def _amount(kind: str, deployment: Deployment, prices: PricesEntry, prompt: int, answer: int) -> int:
    if kind in _COUNTED_BY_ONE:
        return 1
    if kind == SPEND_PER_MONTH:
        return prices.cost(deployment.alias, deployment.base_model, prompt, answer)
    return prompt + answer


def _real(wish: Wish, held: Reservation, prompt: int, answer: int) -> int:
    if wish.bound.kind == CONCURRENT_STREAMS:
        return 0
    return _amount(wish.bound.kind, held.need.deployment, held.prices, prompt, answer)


async def _counted(need: Need) -> Need:
    if need.count is None:
        return need
    try:
        prompt = await need.count()
    except BackendFault:
        return need
    return Need(need.request_id, need.deployment, prompt, need.answer_tokens, None)


def _keys(wishes: tuple[Wish, ...]) -> list[str]:
    return [key for wish in wishes for key in (wish.key, wish.slots)]
