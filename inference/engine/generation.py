"""One generation: admitted, tokenized, checked, run in an instance, and told token by token."""

import asyncio
import json
import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

from inference.engine import wire
from inference.engine.base import Base, Vocabulary
from inference.engine.faults import (
    EngineFault,
    GenerationFailed,
    IncompleteGeneration,
    InvalidInput,
    Overloaded,
)
from inference.engine.grammar import MARK
from inference.engine.instances import Instance
from inference.engine.metrics import Metrics
from inference.engine.parameters import Parameters, chosen_seed, llama_request
from inference.engine.pool import Pool
from inference.engine.settings import Limits
from inference.engine.tokens import Token, TokenReader

_COMPILED_KEPT = 256


@dataclass(frozen=True)
class Ending:
    """How a generation ended."""

    finish_reason: str
    generated_tokens: int
    seed: int | None
    input_length: int
    text: str


@dataclass(frozen=True)
class Step:
    """One token; the last one carries the ending."""

    token: Token
    ending: Ending | None


@dataclass(frozen=True)
class Prompt:
    """A tokenized input and how much may follow it."""

    ids: list[int]
    new_tokens: int


@dataclass
class Run:
    """A generation that is under way on `instance`; `steps` yields at least one step."""

    instance: Instance
    prompt: Prompt
    queued_seconds: float
    steps: AsyncGenerator[Step, None]


class Generator:
    """Runs generations within the pod's bound on requests at the same time."""

    def __init__(self, base: Base, pool: Pool, limits: Limits, metrics: Metrics) -> None:
        self._pool, self._limits, self._metrics = pool, limits, metrics
        self._vocabulary: Vocabulary = base.vocabulary
        self._compiled: dict[str, None] = {}
        self.running = 0

    @asynccontextmanager
    async def admitted(self) -> AsyncIterator[None]:
        """Hold one of the pod's places; raise `Overloaded` at once when all are taken."""
        if self.running >= self._limits.max_concurrent_requests:
            raise Overloaded
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1

    @asynccontextmanager
    async def run(self, identity: str, inputs: str, given: Parameters) -> AsyncIterator[Run]:
        """Start one generation; leaving the block aborts it when it is not finished.

        Raises `InvalidInput` for what does not fit, `GenerationFailed` when no instance starts.
        """
        async with self._pool.use(identity) as instance:
            prompt = self._fit(await self.tokenize(instance, inputs), given)
            asked_at = monotonic()
            spare = self._limits.spare_tokens
            async with instance.capacity.reserve(len(prompt.ids) + prompt.new_tokens + spare):
                steps = self._steps(instance, prompt, given)
                try:
                    yield Run(instance, prompt, monotonic() - asked_at, steps)
                finally:
                    await steps.aclose()

    async def tokenize(self, instance: Instance, inputs: str) -> list[int]:
        """Return the ids of `inputs`, control tokens recognized, as the model sees them."""
        return [piece["id"] for piece in await self.pieces(instance, inputs)]

    async def pieces(self, instance: Instance, inputs: str) -> list[dict[str, Any]]:
        """Return `[{"id", "piece": str | list of bytes}]` for `inputs`."""
        payload = {"content": inputs, "add_special": True, "parse_special": True, "with_pieces": True}
        try:
            async with self._post(instance, "/tokenize", payload) as reply:
                answer = await _json(reply)
        except wire.Disconnected as fault:
            instance.give_up()
            raise IncompleteGeneration from fault
        return list(answer["tokens"])

    def _post(self, instance: Instance, path: str, payload: object) -> Any:
        return wire.post(instance.plan.socket, path, instance.plan.key, payload)

    def _fit(self, ids: list[int], given: Parameters) -> Prompt:
        total = self._limits.max_total_tokens
        if given.truncate is not None:
            if given.truncate >= total:
                raise InvalidInput(
                    f"`truncate` must be strictly positive and less than {total}. Given: {given.truncate}"
                )
            ids = ids[-given.truncate :]
        count = len(ids)
        if count >= total:
            raise InvalidInput(f"`inputs` must have less than {total} tokens. Given: {count}")
        wanted = given.max_new_tokens or min(self._limits.default_new_tokens, total - count)
        if count + wanted > total:
            raise InvalidInput(
                f"`inputs` tokens + `max_new_tokens` must be <= {total}. "
                f"Given: {count} `inputs` tokens and {wanted} `max_new_tokens`"
            )
        return Prompt(ids, wanted)

    async def _steps(
        self, instance: Instance, prompt: Prompt, given: Parameters
    ) -> AsyncGenerator[Step, None]:
        seed = chosen_seed(given)
        seeded = replace(given, seed=seed)
        payload = llama_request(
            seeded, prompt.ids, prompt.new_tokens + self._limits.spare_tokens - 1, self._limits.held_tokens
        )
        progress = _Progress(prompt, seed, given)
        reader = TokenReader(self._vocabulary, given.top_n_tokens)
        try:
            await self._check_grammar(instance, given)
            async with self._post(instance, "/completion", payload) as reply:
                if reply.status != 200:
                    await _json(reply)
                async for event in self._within_time(instance, reply.events()):
                    for token in reader.read(event):
                        yield progress.step(token)
                        if progress.ended:
                            return
        except wire.Disconnected as fault:
            instance.give_up()
            raise IncompleteGeneration from fault
        raise IncompleteGeneration

    async def _check_grammar(self, instance: Instance, given: Parameters) -> None:
        if given.grammar is None or given.grammar.lark() in self._compiled:
            return
        payload = {
            "prompt": [0],
            "n_predict": 1,
            "temperature": 0.0,
            "samplers": ["temperature"],
            "cache_prompt": False,
            "grammar": given.grammar.probe(),
        }
        async with self._post(instance, "/completion", payload) as reply:
            answer = await _json(reply)
        if not answer["content"].startswith(MARK):
            raise InvalidInput("grammar is not valid: it does not compile")
        self._compiled[given.grammar.lark()] = None
        while len(self._compiled) > _COMPILED_KEPT:
            del self._compiled[next(iter(self._compiled))]

    async def _within_time(
        self, instance: Instance, events: AsyncIterator[dict[str, Any]]
    ) -> AsyncIterator[dict[str, Any]]:
        while True:
            try:
                async with asyncio.timeout(self._limits.stall_seconds):
                    event = await anext(events)
            except StopAsyncIteration:
                return
            except TimeoutError as fault:
                # An instance that says nothing for so long is not coming back.
                instance.give_up()
                raise GenerationFailed("the instance stalled") from fault
            if "error" in event:
                raise _fault_of(event["error"])
            yield event


class _Progress:
    """Counts and joins the tokens of one generation and decides when it has ended."""

    def __init__(self, prompt: Prompt, seed: int | None, given: Parameters) -> None:
        self._prompt, self._seed, self._stops = prompt, seed, given.stop
        self._text = ""
        self._count = 0
        self.ended = False

    def step(self, token: Token) -> Step:
        self._count += token.width
        if token.ends:
            return self._end(token, "eos_token")
        before = len(self._text)
        self._text += "" if token.special else token.text
        if (end := self._stop_end(before)) is not None:
            # The text stops where the stop sequence does, even inside a token.
            cut = replace(token, text=self._text[before:end])
            self._text = self._text[:end]
            return self._end(cut, "stop_sequence")
        if self._count >= self._prompt.new_tokens:
            return self._end(token, "length")
        return Step(token, None)

    def _stop_end(self, before: int) -> int | None:
        ends = []
        for stop in self._stops:
            at = self._text.find(stop, max(0, before - len(stop) + 1))
            if at >= 0:
                ends.append(at + len(stop))
        return min(ends, default=None)

    def _end(self, token: Token, reason: str) -> Step:
        self.ended = True
        ending = Ending(reason, self._count, self._seed, len(self._prompt.ids), self._text)
        return Step(token, ending)


async def _json(reply: wire.Reply) -> dict[str, Any]:
    answer = json.loads(await reply.read())
    if reply.status != 200:
        raise _fault_of(answer.get("error", {}))
    return dict(answer)


def _fault_of(error: dict[str, Any]) -> EngineFault:
    message = str(error.get("message", "no reason given"))
    if "grammar" in message.lower() or "schema" in message.lower():
        return InvalidInput(f"grammar is not valid: {message}")
    return GenerationFailed(message)


def mean_logprob(tokens: list[Token]) -> float:
    """Return what `best_of` compares: the mean log-probability of the tokens that have one."""
    known = [token.logprob for token in tokens if token.logprob is not None]
    return sum(known) / len(known) if known else -math.inf
