"""Answers and faults in the words of Text Generation Inference."""

from collections.abc import Mapping
from typing import Any

import orjson

from inference.backends.interface import Alternative
from inference.gateway.answering.answers import Answer, Choice, ranked
from inference.gateway.contract import Ended, Finished, Token
from inference.gateway.faults import AnswerWithheld, GatewayFault
from inference.gateway.http import Exchange
from inference.gateway.planning.plans import Plan

_VALIDATION = 422, "validation"
_GENERATION = 424, "generation"
_OVERLOADED = 429, "overloaded"
_UNHEALTHY = 503, "healthcheck"
_FAULTS: Mapping[int, tuple[int, str]] = {
    400: _VALIDATION,
    401: (401, "unauthorized"),
    403: (403, "forbidden"),
    404: (404, "not_found"),
    405: (405, "method_not_allowed"),
    408: (408, "malformed"),
    413: (413, "too_large"),
    415: (415, "malformed"),
    429: _OVERLOADED,
    500: (500, "incomplete_generation"),
    502: _GENERATION,
    503: _UNHEALTHY,
    504: _GENERATION,
}
_BY_CODE: Mapping[str, tuple[int, str]] = {
    "invalid_json": (400, "malformed"),
    "gateway_overloaded": _OVERLOADED,
}
_PREFIXES = {"validation": "Input validation error: ", "generation": "Request failed during generation: "}


class NativeFaults:
    """TGI's `{"error", "error_type"}`, with its statuses."""

    def status(self, fault: GatewayFault) -> int:
        """TGI's for this kind of fault."""
        return _shape(fault)[0]

    def body(self, fault: GatewayFault) -> bytes:
        """The sentence in TGI's form."""
        _, kind = _shape(fault)
        # Hugging Face's client reads this word as leave to drop parameters in silence.
        message = fault.message.replace("model_kwargs", "model parameters")
        return orjson.dumps({"error": _PREFIXES.get(kind, "") + message, "error_type": kind})

    def event(self, fault: GatewayFault) -> bytes:
        """The sentence as data."""
        return b"data: %b\n\n" % self.body(fault)


def _shape(fault: GatewayFault) -> tuple[int, str]:
    return _BY_CODE.get(fault.code) or _FAULTS.get(fault.status) or (fault.status, "forbidden")


def _check_passed(*ends: Ended) -> None:
    """Raise `AnswerWithheld` where the policy ended an answer: TGI has no finish reason for it."""
    if any(end.finish_reason == "content_filter" for end in ends):
        raise AnswerWithheld("The deployment's content policy withheld the answer, or the rest of it.")


def _token(token: Token | Alternative) -> dict[str, Any]:
    """A server that does not tell the ids of tokens gives them all 0."""
    return {"id": token.id or 0, "text": token.text, "logprob": token.logprob, "special": token.special}


class NativeDialect:
    """`/generate`, and `/` with `as_list`."""

    def __init__(self, *, as_list: bool, planned_ms: float) -> None:
        self._as_list, self._planned_ms = as_list, planned_ms

    def whole(self, exchange: Exchange, plan: Plan, answer: Answer) -> bytes:
        """The generated text with its details, and TGI's headers of times and counts."""
        _check_passed(*(choice.end for choice in answer.choices))
        first, *others = ranked(answer.choices) if len(answer.choices) > 1 else answer.choices
        exchange.extra_headers += _headers(exchange, plan, answer, first, self._planned_ms)
        body: dict[str, Any] = {"generated_text": _text(plan, first)}
        if plan.request.details:
            body["details"] = _details(plan, first)
            if others:
                body["details"]["best_of_sequences"] = [
                    {"generated_text": _text(plan, other)} | _details(plan, other) for other in others
                ]
        return orjson.dumps([body] if self._as_list else body)

    def writer(self, plan: Plan) -> "NativeWriter":
        """For the events of a stream."""
        return NativeWriter(plan)


def _text(plan: Plan, choice: Choice) -> str:
    return (plan.request.prompts[0] if plan.request.echo else "") + choice.text


def _details(plan: Plan, choice: Choice) -> dict[str, Any]:
    ended = choice.end
    details: dict[str, Any] = {
        "finish_reason": ended.reason,
        "generated_tokens": len(choice.tokens),
        "seed": ended.seed,
        "prefill": [],
        "tokens": [_token(token) for token in choice.tokens],
    }
    if plan.request.top_logprobs:
        details["top_tokens"] = [[_token(one) for one in token.top] for token in choice.tokens]
    return details


def _headers(
    exchange: Exchange, plan: Plan, answer: Answer, first: Choice, planned_ms: float
) -> list[tuple[bytes, bytes]]:
    total_ms = exchange.elapsed_ms
    inference_ms = max(0.0, total_ms - planned_ms)
    usage = answer.finished.usage
    return [
        (b"x-compute-type", plan.deployment.backends[0].kind.encode()),
        (b"x-compute-time", b"%.6f" % (total_ms / 1000)),
        (b"x-compute-characters", b"%d" % len(plan.call.prompt)),
        (b"x-total-time", b"%d" % total_ms),
        (b"x-validation-time", b"%d" % planned_ms),
        # How long the server kept the request waiting is not told apart from how long it took.
        (b"x-queue-time", b"0"),
        (b"x-inference-time", b"%d" % inference_ms),
        (b"x-time-per-token", b"%d" % (inference_ms / max(1, len(first.tokens)))),
        (b"x-prompt-tokens", b"%d" % usage.prompt_tokens),
        (b"x-generated-tokens", b"%d" % len(first.tokens)),
    ]


class NativeWriter:
    """Writes one event per token; the last has the whole text and the details."""

    def __init__(self, plan: Plan) -> None:
        request = plan.request
        self._text = [request.prompts[0]] if request.echo else []
        self._top = request.top_logprobs > 0
        self._count = 0
        self._last: Token | None = None
        self._ended: Ended | None = None

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def token(self, token: Token) -> bytes:
        """An event, unless the token is known to be the last: it waits for what belongs to its event."""
        if not token.special:
            self._text.append(token.text)
        if token.last:
            self._last = token
            return b""
        self._count += 1
        return self._event(token, None, None)

    def ended(self, ended: Ended) -> bytes:
        """Nothing yet."""
        self._ended = ended
        return b""

    def finish(self, finished: Finished) -> bytes:
        """The last token's event, of an empty token where the last one could not be known for it."""
        if self._ended is not None:
            _check_passed(self._ended)
        self._count += 1 if self._last else 0
        details = {
            "finish_reason": self._ended.reason if self._ended else finished.finish_reason,
            "generated_tokens": finished.usage.completion_tokens,
            "seed": self._ended.seed if self._ended else None,
            "input_length": finished.usage.prompt_tokens,
        }
        token = self._last or Token("", None, (), 0, None, True)
        return self._event(token, "".join(self._text), details)

    def _event(self, token: Token, text: str | None, details: dict[str, Any] | None) -> bytes:
        event: dict[str, Any] = {"index": self._count, "token": _token(token)}
        if self._top:
            event["top_tokens"] = [_token(one) for one in token.top]
        event["generated_text"] = text
        event["details"] = details
        return b"data:%b\n\n" % orjson.dumps(event)
