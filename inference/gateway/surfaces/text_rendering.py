"""OpenAI's completion objects of the older form."""

from typing import Any

import orjson

from inference.gateway.answering.answers import Answer, Choice, best
from inference.gateway.contract import Ended, Finished, Token
from inference.gateway.http import Exchange
from inference.gateway.planning.plans import Plan
from inference.gateway.surfaces.rendering import DONE, envelope, known, usage_chunk, usage_object


class TextDialect:
    """Completions of text, whole and streamed."""

    def whole(self, exchange: Exchange, plan: Plan, answer: Answer) -> bytes:
        """A `text_completion` object."""
        choices = [_choice(plan, index, choice) for index, choice in enumerate(best(answer, plan))]
        body = envelope(plan, "cmpl", "text_completion")
        return orjson.dumps(body | {"choices": choices, "usage": usage_object(answer.finished.usage)})

    def writer(self, plan: Plan) -> "TextWriter":
        """For the events of a stream."""
        return TextWriter(plan)


def _choice(plan: Plan, index: int, choice: Choice) -> dict[str, Any]:
    request = plan.request
    echoed = request.prompts[index // request.n] if request.echo else ""
    return {
        "index": index,
        "text": echoed + choice.text,
        "logprobs": _logprobs(choice.tokens, 0) if request.logprobs else None,
        "finish_reason": choice.end.finish_reason,
    }


def _logprobs(tokens: list[Token], offset: int) -> dict[str, list[Any]]:
    """The tokens side by side; `offset` is where the first begins in the answer's text, in characters."""
    told: dict[str, list[Any]] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    for token in tokens:
        told["tokens"].append(token.text)
        told["token_logprobs"].append(known(token.logprob))
        told["top_logprobs"].append(
            {one.text: one.logprob for one in token.top} | {token.text: known(token.logprob)}
        )
        told["text_offset"].append(offset)
        offset += len(token.text)
    return told


class TextWriter:
    """Writes the events of one stream; each has the shape of a whole answer."""

    def __init__(self, plan: Plan) -> None:
        request = plan.request
        self._common = orjson.dumps(envelope(plan, "cmpl", "text_completion"))[:-1]
        self._usage_to_come = request.include_usage
        self._usage_field = b',"usage":null' if self._usage_to_come else b""
        self._logprobs = request.logprobs
        self._echoed = request.prompts if request.echo else ()
        self._n = request.n
        self._offsets = [0] * plan.answers
        self._before = [
            b'data: %b,"choices":[{"index":%d,"text":' % (self._common, index)
            for index in range(plan.answers)
        ]
        self._after = b',"logprobs":null,"finish_reason":null}]%b}\n\n' % self._usage_field

    def begin(self) -> bytes:
        """The prompt of each answer, where it is to be echoed."""
        return b"".join(
            [
                self._plain(prompt * self._n + place, text)
                for prompt, text in enumerate(self._echoed)
                for place in range(self._n)
            ]
        )

    def token(self, token: Token) -> bytes:
        """One event per token."""
        if not self._logprobs:
            return self._plain(token.index, token.text)
        logprobs = _logprobs([token], self._offsets[token.index])
        self._offsets[token.index] += len(token.text)
        return self._event(token.index, token.text, logprobs, None)

    def _plain(self, index: int, text: str) -> bytes:
        return b"%b%b%b" % (self._before[index], orjson.dumps(text), self._after)

    def ended(self, ended: Ended) -> bytes:
        """The reason."""
        return self._event(ended.index, "", None, ended.finish_reason)

    def finish(self, finished: Finished) -> bytes:
        """The usage if asked for, and the end."""
        return usage_chunk(self._common, finished.usage) + DONE if self._usage_to_come else DONE

    def _event(
        self, index: int, text: str, logprobs: dict[str, list[Any]] | None, reason: str | None
    ) -> bytes:
        choice = {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason}
        return b'data: %b,"choices":[%b]%b}\n\n' % (self._common, orjson.dumps(choice), self._usage_field)
