"""TGI's native routes: /generate, /generate_stream, / and /tokenize."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from time import monotonic
from typing import Any

from inference.engine import parameters
from inference.engine.exchange import Exchange, event
from inference.engine.faults import EngineFault, InvalidInput
from inference.engine.generation import Ending, Run, Step, mean_logprob
from inference.engine.parameters import Parameters
from inference.engine.pod import Pod
from inference.engine.tokens import Token


@dataclass(frozen=True)
class Wanted:
    """A parsed request of the native routes."""

    inputs: str
    parameters: Parameters
    identity: str


@dataclass(frozen=True)
class Outcome:
    """A finished generation."""

    identity: str
    tokens: list[Token]
    ending: Ending
    queued_seconds: float
    seconds: float


def read(body: dict[str, Any], pod: Pod) -> Wanted:
    """Return the checked request; raise `InvalidInput` naming what is wrong."""
    inputs = body.get("inputs")
    if not isinstance(inputs, str):
        raise InvalidInput("`inputs` must be a string")
    if not inputs:
        raise InvalidInput("`inputs` cannot be empty")
    if unknown := sorted(set(body) - {"inputs", "parameters", "stream"}):
        raise InvalidInput(f"`{unknown[0]}` is not a field of this endpoint")
    given = parameters.read(body.get("parameters"), pod.limits)
    return Wanted(inputs, given, pod.identity_of(given.adapter_id))


async def generate(exchange: Exchange, pod: Pod) -> None:
    """POST /generate: one object."""
    await _answer(exchange, pod, await exchange.json(pod.limits.body_bytes), as_list=False)


async def root(exchange: Exchange, pod: Pod) -> None:
    """POST /: a list, or a stream when `stream` is true, as old clients expect."""
    body = await exchange.json(pod.limits.body_bytes)
    if body.get("stream") is True:
        await _answer_stream(exchange, pod, body)
    else:
        await _answer(exchange, pod, body, as_list=True)


async def generate_stream(exchange: Exchange, pod: Pod) -> None:
    """POST /generate_stream: always 200; a fault is the only or the last event."""
    await _answer_stream(exchange, pod, await exchange.json(pod.limits.body_bytes))


async def tokenize(exchange: Exchange, pod: Pod) -> None:
    """POST /tokenize: ids with their places in the text, in characters."""
    wanted = read(await exchange.json(pod.limits.body_bytes), pod)
    await exchange.answer(await token_places(pod, wanted.inputs))


async def token_places(pod: Pod, text: str) -> list[dict[str, Any]]:
    """Return `[{"id", "text", "start", "stop"}]` for `text`."""
    async with pod.pool.use(pod.identity_of(None)) as instance:
        pieces = await pod.generator.pieces(instance, text)
    return [_place(text, piece, begin, end) for piece, begin, end in _spans(pieces)]


def _spans(pieces: list[dict[str, Any]]) -> list[tuple[dict[str, Any], int, int]]:
    spans, seen = [], b""
    for piece in pieces:
        raw = piece["piece"].encode() if isinstance(piece["piece"], str) else bytes(piece["piece"])
        begin = len(seen.decode("utf-8", "ignore"))
        seen += raw
        # A token that only begins or continues a character spans the whole of it, as Hugging Face says.
        spans.append((piece, begin, max(len(seen.decode("utf-8", "replace")), begin + 1)))
    return spans


def _place(text: str, piece: dict[str, Any], begin: int, end: int) -> dict[str, Any]:
    return {"id": piece["id"], "text": text[begin:end], "start": begin, "stop": end}


async def complete(pod: Pod, wanted: Wanted) -> Outcome:
    """Run one generation to its end and count it."""
    asked_at = monotonic()
    async with pod.generator.run(wanted.identity, wanted.inputs, wanted.parameters) as run:
        steps = [step async for step in run.steps]
    ending = steps[-1].ending
    if ending is None:
        raise AssertionError("a generation ends with its last step")
    outcome = Outcome(
        run.instance.identity,
        [step.token for step in steps],
        ending,
        run.queued_seconds,
        monotonic() - asked_at,
    )
    pod.count(ending, run.queued_seconds, outcome.seconds)
    return outcome


async def _answer(exchange: Exchange, pod: Pod, body: dict[str, Any], *, as_list: bool) -> None:
    wanted = read(body, pod)
    async with exchange.watched(), pod.generator.admitted():
        tries = [complete(pod, wanted) for _ in range(wanted.parameters.best_of)]
        outcomes = await asyncio.gather(*tries)
    outcomes.sort(key=lambda outcome: mean_logprob(outcome.tokens), reverse=True)
    answer = _generated(wanted, outcomes)
    headers = _timing_headers(wanted, outcomes[0])
    await exchange.answer([answer] if as_list else answer, headers=headers)


def _generated(wanted: Wanted, outcomes: list[Outcome]) -> dict[str, Any]:
    best, *others = outcomes
    answer: dict[str, Any] = {"generated_text": _full_text(wanted, best.ending)}
    if wanted.parameters.details:
        answer["details"] = _details(best, wanted.parameters)
        if others:
            answer["details"]["best_of_sequences"] = [
                {"generated_text": _full_text(wanted, other.ending), **_details(other, wanted.parameters)}
                for other in others
            ]
    return answer


def _full_text(wanted: Wanted, ending: Ending) -> str:
    return wanted.inputs + ending.text if wanted.parameters.return_full_text else ending.text


def _details(outcome: Outcome, given: Parameters) -> dict[str, Any]:
    details: dict[str, Any] = {
        "finish_reason": outcome.ending.finish_reason,
        "generated_tokens": outcome.ending.generated_tokens,
        "seed": outcome.ending.seed,
        "prefill": [],
        "tokens": [token.body() for token in outcome.tokens],
        # Beyond TGI, which tells it only in streams: a gateway bills both alike.
        "input_length": outcome.ending.input_length,
    }
    if given.top_n_tokens:
        details["top_tokens"] = [[top.body() for top in token.top] for token in outcome.tokens]
    return details


def _timing_headers(wanted: Wanted, outcome: Outcome) -> list[tuple[str, str]]:
    count = max(1, outcome.ending.generated_tokens)
    inference_ms = (outcome.seconds - outcome.queued_seconds) * 1000
    return [
        ("x-adapter-id", outcome.identity),
        ("x-compute-type", "cpu"),
        ("x-compute-time", f"{outcome.seconds:.6f}"),
        ("x-compute-characters", str(len(wanted.inputs))),
        ("x-total-time", f"{outcome.seconds * 1000:.0f}"),
        ("x-queue-time", f"{outcome.queued_seconds * 1000:.0f}"),
        ("x-inference-time", f"{inference_ms:.0f}"),
        ("x-time-per-token", f"{inference_ms / count:.0f}"),
        ("x-prompt-tokens", str(outcome.ending.input_length)),
        ("x-generated-tokens", str(outcome.ending.generated_tokens)),
    ]


async def _answer_stream(exchange: Exchange, pod: Pod, body: dict[str, Any]) -> None:
    async with AsyncExitStack() as stack:
        try:
            wanted = _read_stream(body, pod)
            await stack.enter_async_context(exchange.watched())
            await stack.enter_async_context(pod.generator.admitted())
            run = await stack.enter_async_context(
                pod.generator.run(wanted.identity, wanted.inputs, wanted.parameters)
            )
            first = await anext(run.steps)
        except EngineFault as fault:
            pod.metrics.failures[fault.error_type] += 1
            await exchange.stream(_only(event(fault.body())), [])
            return
        headers = [
            ("x-adapter-id", run.instance.identity),
            ("x-compute-type", "cpu"),
            ("x-compute-characters", str(len(wanted.inputs))),
        ]
        await exchange.stream(_events(pod, wanted, run, first), headers)


def _read_stream(body: dict[str, Any], pod: Pod) -> Wanted:
    wanted = read(body, pod)
    if wanted.parameters.best_of > 1:
        raise InvalidInput("`best_of` != 1 is not supported when streaming tokens")
    return wanted


async def _only(value: bytes) -> AsyncGenerator[bytes, None]:
    yield value


async def _events(pod: Pod, wanted: Wanted, run: Run, first: Step) -> AsyncGenerator[bytes, None]:
    started_at = monotonic()
    index = 0
    try:
        async with contextlib.aclosing(following(first, run)) as steps:
            async for step in steps:
                index += step.token.width
                yield event(_streamed(wanted, step, index))
                if step.ending:
                    pod.count(step.ending, run.queued_seconds, monotonic() - started_at)
    except EngineFault as fault:
        pod.metrics.failures[fault.error_type] += 1
        yield event(fault.body())


async def following(first: Step, run: Run) -> AsyncGenerator[Step, None]:
    """Yield a step already taken, then the rest of the run."""
    yield first
    async for step in run.steps:
        yield step


def _streamed(wanted: Wanted, step: Step, index: int) -> dict[str, Any]:
    body: dict[str, Any] = {"index": index, "token": step.token.body()}
    if wanted.parameters.top_n_tokens:
        body["top_tokens"] = [top.body() for top in step.token.top]
    body["generated_text"] = _full_text(wanted, step.ending) if step.ending else None
    body["details"] = _stream_details(step.ending) if step.ending else None
    return body


def _stream_details(ending: Ending) -> dict[str, Any]:
    return {
        "finish_reason": ending.finish_reason,
        "generated_tokens": ending.generated_tokens,
        "seed": ending.seed,
        "input_length": ending.input_length,
    }
