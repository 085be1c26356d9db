"""OpenAI's chat completion objects. Chunks of a stream are assembled from bytes, as they are what costs."""

from typing import Any

import orjson

from inference.gateway.answering.answers import Answer, Choice, best
from inference.gateway.contract import Ended, Finished, Token, ToolCall, Usage
from inference.gateway.entries import Deployment
from inference.gateway.http import Exchange
from inference.gateway.ids import rendered
from inference.gateway.planning.plans import Plan
from inference.gateway.requests.tools import CallReader

DONE = b"data: [DONE]\n\n"
# OpenAI's own stand-in for a log probability that is not known.
UNKNOWN_LOGPROB = -9999.0


def usage_object(usage: Usage) -> dict[str, Any]:
    """OpenAI's `usage`."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def envelope(plan: Plan, prefix: str, kind: str) -> dict[str, Any]:
    """What an answer and all of its chunks have in common."""
    own = {
        "id": f"{prefix}-{plan.request_id.hex}",
        "object": kind,
        "created": plan.created,
        "model": plan.request.model,
        "system_fingerprint": f"fp_{plan.deployment.digest[:16]}",
        "ai_generated": True,
    }
    return own | {"service_tier": "flex"} if plan.request.flexible else own


def known(logprob: float | None) -> float:
    """A number in any case."""
    return UNKNOWN_LOGPROB if logprob is None else logprob


def logprob_object(token: Token) -> dict[str, Any]:
    """A token's log probability and its alternatives', as chats and responses tell them."""
    top = [{"token": one.text, "logprob": one.logprob, "bytes": list(one.text.encode())} for one in token.top]
    return {
        "token": token.text,
        "logprob": known(token.logprob),
        "bytes": list(token.text.encode()),
        "top_logprobs": top,
    }


class ChatDialect:
    """Chat completions, whole and streamed."""

    def whole(self, exchange: Exchange, plan: Plan, answer: Answer) -> bytes:
        """A `chat.completion` object."""
        choices = [_choice(plan, index, choice) for index, choice in enumerate(best(answer, plan))]
        body = envelope(plan, "chatcmpl", "chat.completion")
        return orjson.dumps(body | {"choices": choices, "usage": usage_object(answer.finished.usage)})

    def writer(self, plan: Plan) -> "ChunkWriter":
        """For the chunks of a stream."""
        return ChunkWriter(plan)


def _choice(plan: Plan, index: int, choice: Choice) -> dict[str, Any]:
    logprobs = None
    if plan.request.logprobs:
        logprobs = {"content": [logprob_object(token) for token in choice.tokens], "refusal": None}
    message: dict[str, Any] = {"role": "assistant", "content": choice.text, "refusal": None}
    reason: str = choice.end.finish_reason
    if plan.request.tools is not None:
        reader = CallReader(plan.request.tools)
        parts = [*reader.feed(choice.text), *reader.rest()]
        message["content"] = "".join([part for part in parts if isinstance(part, str)]) or None
        if calls := [_call(part) for part in parts if not isinstance(part, str)]:
            message["tool_calls"] = calls
        reason = _reason(choice.end, reader)
    return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": reason}


def _call(call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }


def _reason(ended: Ended, reader: CallReader) -> str:
    return "tool_calls" if reader.calls and ended.finish_reason == "stop" else ended.finish_reason


class ChunkWriter:
    """Writes the `chat.completion.chunk` events of one stream."""

    def __init__(self, plan: Plan) -> None:
        self._common = orjson.dumps(envelope(plan, "chatcmpl", "chat.completion.chunk"))[:-1]
        self._usage_to_come = plan.request.include_usage
        self._usage_field = b',"usage":null' if self._usage_to_come else b""
        self._logprobs = plan.request.logprobs
        self._before = [
            b'data: %b,"choices":[{"index":%d,"delta":{"content":' % (self._common, index)
            for index in range(plan.answers)
        ]
        self._after = b'},"logprobs":null,"finish_reason":null}]%b}\n\n' % self._usage_field
        tools = plan.request.tools
        self._readers = [CallReader(tools) for _ in range(plan.answers)] if tools else None

    def begin(self) -> bytes:
        """The first chunk of each answer."""
        delta = {"role": "assistant", "content": "", "refusal": None}
        return b"".join([self._chunk(index, delta, None, None) for index in range(len(self._before))])

    def token(self, token: Token) -> bytes:
        """One chunk per token; while a call is being written none, and then one for it."""
        if self._readers is not None:
            return self._told(token.index, self._readers[token.index], token.text)
        if self._logprobs:
            logprobs = {"content": [logprob_object(token)], "refusal": None}
            return self._chunk(token.index, {"content": token.text}, logprobs, None)
        return b"%b%b%b" % (self._before[token.index], orjson.dumps(token.text), self._after)

    def ended(self, ended: Ended) -> bytes:
        """The reason."""
        if self._readers is None:
            return self._chunk(ended.index, {}, None, ended.finish_reason)
        reader = self._readers[ended.index]
        rest = self._told(ended.index, reader, None)
        return rest + self._chunk(ended.index, {}, None, _reason(ended, reader))

    def _told(self, index: int, reader: CallReader, text: str | None) -> bytes:
        """Chunks of what the reader makes of further text, or of what it held back until the end."""
        chunks = b""
        place = reader.calls
        for part in reader.rest() if text is None else reader.feed(text):
            if isinstance(part, str):
                chunks += self._chunk(index, {"content": part}, None, None)
            else:
                chunks += self._chunk(index, {"tool_calls": [{"index": place} | _call(part)]}, None, None)
                place += 1
        return chunks

    def finish(self, finished: Finished) -> bytes:
        """The usage if asked for, and the end."""
        return usage_chunk(self._common, finished.usage) + DONE if self._usage_to_come else DONE

    def _chunk(
        self, index: int, delta: dict[str, Any], logprobs: dict[str, Any] | None, reason: str | None
    ) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        return b'data: %b,"choices":[%b]%b}\n\n' % (self._common, orjson.dumps(choice), self._usage_field)


def usage_chunk(common: bytes, usage: Usage) -> bytes:
    """The chunk without choices that tells the usage; `common` is the envelope without its end."""
    return b'data: %b,"choices":[],"usage":%b}\n\n' % (common, orjson.dumps(usage_object(usage)))


def model_object(deployment: Deployment, organization_id: str) -> dict[str, Any]:
    """OpenAI's `model` object."""
    return {
        "id": deployment.alias,
        "object": "model",
        "created": deployment.created_at,
        "owned_by": rendered("org-", organization_id),
    }
