"""TGI's Messages API: /v1/chat/completions and /chat_tokenize over the base's chat template."""

import contextlib
import math
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from time import time
from typing import Any

from inference.engine import parameters
from inference.engine.exchange import Exchange, event
from inference.engine.faults import EngineFault, InvalidInput
from inference.engine.generation import Ending, Run, Step
from inference.engine.native import Wanted, complete, following, token_places
from inference.engine.pod import Pod
from inference.engine.tokens import Token

DONE = b"data: [DONE]\n\n"
_PASSED = ("frequency_penalty", "seed", "stop", "top_p")
# Accepted without effect, because clients send them on their own and they ask for nothing.
_NEUTRAL: dict[str, tuple[object, ...]] = {
    "n": (None, 1),
    "logit_bias": (None, {}, []),
    "tools": (None, []),
    "tool_choice": (None, "auto", "none"),
    "tool_prompt": (None,),
    "guideline": (None,),
    "parallel_tool_calls": (None, True, False),
}
_READ = {
    *("messages", "model", "stream", "stream_options", "logprobs", "top_logprobs", "response_format"),
    *("max_tokens", "max_completion_tokens", "temperature", "presence_penalty", "user", *_PASSED),
}


@dataclass(frozen=True)
class Chat:
    """A checked chat request."""

    wanted: Wanted
    model: str
    logprobs: bool
    stream: bool
    include_usage: bool


def read(body: dict[str, Any], pod: Pod) -> Chat:
    """Return the checked request; raise `InvalidInput` naming a field that cannot be honoured."""
    for name, value in body.items():
        if name not in _READ and value not in _NEUTRAL.get(name, (None,)):
            raise InvalidInput(f"`{name}` is not supported by this engine")
    model = body.get("model")
    given = parameters.read(_native(body), pod.limits)
    # In TGI every model name but its own is an adapter's; huggingface_hub says `dummy` for none.
    names_base = model in (None, "", "tgi", "dummy", pod.base.name, pod.base.identity)
    identity = pod.identity_of(None if names_base else str(model))
    inputs = pod.template.render(body.get("messages"))
    options = body.get("stream_options") or {}
    return Chat(
        Wanted(inputs, given, identity),
        model=str(model or pod.base.name),
        logprobs=body.get("logprobs") is True,
        stream=body.get("stream") is True,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
    )


def _native(body: dict[str, Any]) -> dict[str, Any]:
    given = {name: body[name] for name in _PASSED if body.get(name) is not None}
    if isinstance(given.get("stop"), str):
        given["stop"] = [given["stop"]]
    given["max_new_tokens"] = body.get("max_completion_tokens") or body.get("max_tokens")
    # As in TGI: a temperature of 0 means greedy, any other means sampling.
    temperature = body.get("temperature")
    if temperature == 0:
        given.pop("top_p", None)
    else:
        given |= {"temperature": temperature, "do_sample": True}
    if (presence := body.get("presence_penalty")) is not None:
        given["repetition_penalty"] = _number("presence_penalty", presence) + 2.0 if presence else None
    if body.get("logprobs") is True:
        given["top_n_tokens"] = body.get("top_logprobs")
    elif body.get("top_logprobs"):
        raise InvalidInput("`top_logprobs` needs `logprobs` to be true")
    given["grammar"] = _grammar(body.get("response_format"))
    return given


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(f"`{name}` must be a number")
    return float(value)


def _grammar(wanted: Any) -> dict[str, Any] | None:
    if wanted is None or wanted == {"type": "text"}:
        return None
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind == "json_object" and "value" not in wanted:
        return {"type": "json", "value": {"type": "object"}}
    if kind == "json_schema" and "json_schema" in wanted:
        return {"type": "json_schema", "value": wanted["json_schema"]}
    return dict(wanted) if isinstance(wanted, dict) else {"type": "unknown"}


async def chat_completions(exchange: Exchange, pod: Pod) -> None:
    """POST /v1/chat/completions: one object, or a stream that ends with `data: [DONE]`."""
    body = await exchange.json(pod.limits.body_bytes)
    if body.get("stream") is True:
        await _stream(exchange, pod, body)
        return
    chat = read(body, pod)
    async with exchange.watched(), pod.generator.admitted():
        outcome = await complete(pod, chat.wanted)
    content = [_logprob(token) for token in outcome.tokens] if chat.logprobs else None
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": outcome.ending.text},
        "logprobs": {"content": content} if content is not None else None,
        "finish_reason": _reason(outcome.ending),
    }
    answer = _envelope(pod, chat, "chat.completion") | {"choices": [choice], "usage": _usage(outcome.ending)}
    await exchange.answer(answer, headers=[("x-adapter-id", outcome.identity)])


async def chat_tokenize(exchange: Exchange, pod: Pod) -> None:
    """POST /chat_tokenize: the templated text and its tokens."""
    body = await exchange.json(pod.limits.body_bytes)
    text = pod.template.render(body.get("messages"))
    await exchange.answer({"tokenize_response": await token_places(pod, text), "templated_text": text})


async def _stream(exchange: Exchange, pod: Pod, body: dict[str, Any]) -> None:
    async with AsyncExitStack() as stack:
        try:
            chat = read(body, pod)
            await stack.enter_async_context(exchange.watched())
            await stack.enter_async_context(pod.generator.admitted())
            wanted = chat.wanted
            generation = pod.generator.run(wanted.identity, wanted.inputs, wanted.parameters)
            run = await stack.enter_async_context(generation)
            first = await anext(run.steps)
        except EngineFault as fault:
            await exchange.stream(_failed(pod, fault), [])
            return
        headers = [("x-adapter-id", run.instance.identity), ("x-compute-type", "cpu")]
        await exchange.stream(_chunks(pod, chat, run, first), headers)


async def _failed(pod: Pod, fault: EngineFault) -> AsyncGenerator[bytes, None]:
    pod.metrics.failures[fault.error_type] += 1
    yield event(_error(fault))
    yield DONE


def _error(fault: EngineFault) -> dict[str, Any]:
    body = {"message": str(fault), "http_status_code": fault.status, "error_type": fault.error_type}
    return {"error": body}


async def _chunks(pod: Pod, chat: Chat, run: Run, first: Step) -> AsyncGenerator[bytes, None]:
    started_at = time()
    try:
        async with contextlib.aclosing(following(first, run)) as steps:
            async for step in steps:
                yield event(_chunk(pod, chat, step))
                if step.ending:
                    pod.count(step.ending, run.queued_seconds, time() - started_at)
                    if chat.include_usage:
                        envelope = _envelope(pod, chat, "chat.completion.chunk")
                        yield event(envelope | {"choices": [], "usage": _usage(step.ending)})
    except EngineFault as fault:
        pod.metrics.failures[fault.error_type] += 1
        yield event(_error(fault))
    yield DONE


def _chunk(pod: Pod, chat: Chat, step: Step) -> dict[str, Any]:
    choice = {
        "index": 0,
        "delta": {"role": "assistant", "content": "" if step.token.special else step.token.text},
        "logprobs": {"content": [_logprob(step.token)]} if chat.logprobs else None,
        "finish_reason": _reason(step.ending) if step.ending else None,
    }
    return _envelope(pod, chat, "chat.completion.chunk") | {"choices": [choice], "usage": None}


def _envelope(pod: Pod, chat: Chat, kind: str) -> dict[str, Any]:
    return {
        "object": kind,
        "id": "",
        "created": int(time()),
        "model": chat.model,
        "system_fingerprint": f"{pod.version}-{chat.wanted.identity}",
    }


def _reason(ending: Ending) -> str:
    return {"eos_token": "stop", "stop_sequence": "stop"}.get(ending.finish_reason, "length")


def _usage(ending: Ending) -> dict[str, int]:
    prompt, completion = ending.input_length, ending.generated_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _logprob(token: Token) -> dict[str, Any]:
    # OpenAI's clients require a number: -9999 is OpenAI's own stand-in for "not known".
    top = [{"token": t.text, "logprob": t.logprob} for t in token.top]
    known = token.logprob if token.logprob is not None and math.isfinite(token.logprob) else -9999.0
    return {"token": token.text, "logprob": known, "top_logprobs": top}
