"""The surface `POST /v1/responses`: answers as responses, whole and streamed. Nothing of them is stored."""

import time
from collections.abc import Mapping
from typing import Any

import orjson

from inference.gateway.answers import Answer
from inference.gateway.authentication import Authenticator, identified, must
from inference.gateway.contract import Ended, Finished, GatewayConfig, Token, Usage
from inference.gateway.faults import GatewayFault
from inference.gateway.http import Exchange, OpenAiFaults
from inference.gateway.parameters import document_of
from inference.gateway.plans import Plan
from inference.gateway.responses.output import EventNumbers, Output
from inference.gateway.responses.requests import response_request_of
from inference.gateway.surfaces import GenerationSurface

PATH = "/v1/responses"


class ResponsesSurface:
    """Reads requests for responses and has them generated."""

    def __init__(
        self, config: GatewayConfig, *, authenticator: Authenticator, generation: GenerationSurface
    ) -> None:
        self._config, self._authenticator, self._generation = config, authenticator, generation

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request. Raises `GatewayFault`, `ClientLeft`."""
        principal = await identified(exchange, self._authenticator)
        must(principal, "inference.complete")
        asked = response_request_of(document_of(await exchange.body(self._config)))
        numbers = EventNumbers()
        exchange.faults = ResponseFaults(numbers)
        dialect = ResponseDialect(asked.repeated, numbers)
        await self._generation.generate(exchange, principal, asked.request, dialect)


class ResponseFaults(OpenAiFaults):
    """OpenAI's error object; in a stream the event `error`, numbered as the others are."""

    def __init__(self, numbers: EventNumbers) -> None:
        self._numbers = numbers

    def event(self, fault: GatewayFault) -> bytes:
        """The published event of a stream that failed."""
        return self._numbers.event("error", code=fault.code, message=fault.message, param=fault.param)


class ResponseDialect:
    """Responses, whole and streamed; `repeated` is what each repeats of its request."""

    def __init__(self, repeated: Mapping[str, Any], numbers: EventNumbers) -> None:
        self._repeated, self._numbers = repeated, numbers

    def whole(self, exchange: Exchange, plan: Plan, answer: Answer) -> bytes:
        """A `response` object."""
        writer = ResponseWriter(plan, self._repeated, self._numbers)
        choice = answer.choices[0]
        for token in choice.tokens:
            writer.token(token)
        writer.ended(choice.end)
        return orjson.dumps(writer.finished(answer.finished.usage))

    def writer(self, plan: Plan) -> "ResponseWriter":
        """For the events of a stream."""
        return ResponseWriter(plan, self._repeated, self._numbers)


class ResponseWriter:
    """Writes the events of one stream, from `response.created` to `response.completed`."""

    def __init__(self, plan: Plan, repeated: Mapping[str, Any], numbers: EventNumbers) -> None:
        self._plan, self._repeated, self._numbers = plan, repeated, numbers
        self._output = Output(plan, numbers)
        self._complete = True
        self._withheld = False

    def begin(self) -> bytes:
        """The response, still empty."""
        response = self._response("in_progress", None)
        created = self._numbers.event("response.created", response=response)
        return created + self._numbers.event("response.in_progress", response=response)

    def token(self, token: Token) -> bytes:
        """A delta, after what opens its item; while a call is being written nothing."""
        return self._output.take(token)

    def ended(self, ended: Ended) -> bytes:
        """What closes the item that is open."""
        self._complete = ended.finish_reason == "stop"
        self._withheld = ended.finish_reason == "content_filter"
        return self._output.end(complete=self._complete)

    def finish(self, finished: Finished) -> bytes:
        """The whole response."""
        response = self.finished(finished.usage)
        return self._numbers.event(f"response.{response['status']}", response=response)

    def finished(self, usage: Usage) -> dict[str, Any]:
        """The response once all of it has come."""
        return self._response("completed" if self._complete else "incomplete", usage)

    def _response(self, status: str, usage: Usage | None) -> dict[str, Any]:
        cut_by = "content_filter" if self._withheld else "max_output_tokens"
        response: dict[str, Any] = {
            "id": f"resp_{self._plan.request_id.hex}",
            "object": "response",
            "created_at": self._plan.created,
            "completed_at": int(time.time()) if status == "completed" else None,
            "status": status,
            "error": None,
            "incomplete_details": {"reason": cut_by} if status == "incomplete" else None,
            "output": self._output.items,
            "ai_generated": True,
            **self._repeated,
        }
        return response if usage is None else response | {"usage": _usage(usage)}


def _usage(usage: Usage) -> dict[str, Any]:
    """A model server does not tell what it had read before, nor do these models reason apart."""
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
