"""OpenAI's response bodies. Chunks of a stream are assembled from bytes, as they are what costs."""

from collections.abc import Sequence
from typing import Any

import orjson

from inference.gateway.completion import Plan
from inference.gateway.contract import Finished, Token, Usage
from inference.gateway.entries import Deployment
from inference.gateway.faults import GatewayFault
from inference.gateway.ids import rendered

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"


def fault_event(fault: GatewayFault) -> bytes:
    """An error within a stream that has begun."""
    return b"data: %b\n\n" % orjson.dumps(fault.body())


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def _logprob(token: Token) -> dict[str, Any]:
    top = [{"token": one.text, "logprob": one.logprob, "bytes": list(one.text.encode())} for one in token.top]
    return {
        "token": token.text,
        "logprob": token.logprob,
        "bytes": list(token.text.encode()),
        "top_logprobs": top,
    }


def _common(plan: Plan, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{plan.request_id.hex}",
        "object": kind,
        "created": plan.created,
        "model": plan.request.model,
        "system_fingerprint": f"fp_{plan.deployment.digest[:16]}",
    }


def completion_body(plan: Plan, tokens: Sequence[Token], finished: Finished) -> bytes:
    """A `chat.completion` object."""
    logprobs = None
    if plan.request.logprobs:
        logprobs = {"content": [_logprob(token) for token in tokens], "refusal": None}
    content = "".join(token.text for token in tokens)
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content, "refusal": None},
        "logprobs": logprobs,
        "finish_reason": finished.finish_reason,
    }
    body = _common(plan, "chat.completion") | {"choices": [choice], "usage": _usage(finished.usage)}
    return orjson.dumps(body)


class ChunkWriter:
    """Writes the `chat.completion.chunk` events of one stream."""

    def __init__(self, plan: Plan) -> None:
        self._common = orjson.dumps(_common(plan, "chat.completion.chunk"))[:-1]
        self._usage_to_come = plan.request.include_usage
        self._logprobs = plan.request.logprobs
        self._before = b'data: %b,"choices":[{"index":0,"delta":{"content":' % self._common
        self._after = b'},"logprobs":null,"finish_reason":null}]%b}\n\n' % self._usage_field

    @property
    def _usage_field(self) -> bytes:
        return b',"usage":null' if self._usage_to_come else b""

    def role(self) -> bytes:
        """The first chunk."""
        return self._chunk({"role": "assistant", "content": "", "refusal": None}, None, None)

    def token(self, token: Token) -> bytes:
        """One chunk per token."""
        if self._logprobs:
            return self._chunk({"content": token.text}, {"content": [_logprob(token)], "refusal": None}, None)
        return b"%b%b%b" % (self._before, orjson.dumps(token.text), self._after)

    def finish(self, finished: Finished) -> bytes:
        """The reason, the usage if asked for, and the end."""
        last = self._chunk({}, None, finished.finish_reason)
        if self._usage_to_come:
            last += b'data: %b,"choices":[],"usage":%b}\n\n' % (
                self._common,
                orjson.dumps(_usage(finished.usage)),
            )
        return last + DONE

    def _chunk(self, delta: dict[str, Any], logprobs: dict[str, Any] | None, reason: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        return b'data: %b,"choices":[%b]%b}\n\n' % (self._common, orjson.dumps(choice), self._usage_field)


def model_object(deployment: Deployment, organization_id: str) -> dict[str, Any]:
    """OpenAI's `model` object."""
    return {
        "id": deployment.alias,
        "object": "model",
        "created": deployment.created_at,
        "owned_by": rendered("org-", organization_id),
    }
