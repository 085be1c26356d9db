"""The surface `POST /v1/responses`: answers as responses, whole and streamed, stored by the control plane."""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

import orjson

from inference.gateway.answering.answers import Answer
from inference.gateway.authentication import Authenticator, identified, must
from inference.gateway.contract import (
    ChatMessage,
    Ended,
    Finished,
    GatewayConfig,
    Principal,
    Token,
    Usage,
)
from inference.gateway.faults import GatewayFault, PreviousResponseNotFound, ResponsesNotStored
from inference.gateway.http import Exchange, OpenAiFaults
from inference.gateway.planning.plans import Plan
from inference.gateway.requests.parameters import document_of
from inference.gateway.responses.items import read_input
from inference.gateway.responses.keeping import FinishedResponse, ResponseKeeper, items_of
from inference.gateway.responses.output import EventNumbers, Output
from inference.gateway.responses.requests import Asked, response_request_of
from inference.gateway.snapshot import Snapshot
from inference.gateway.surfaces.generating import Finish, GenerationSurface, nothing_more

PATH = "/v1/responses"
_NO_KEEPER = (
    "This gateway stores no responses: leave 'store' out or set it to false, or ask at the platform's own "
    "address."
)
_ZERO_RETENTION = (
    "Responses are not stored in this project, since its data retention is zero. Leave 'store' out or set it "
    "to false, or have an administrator change the data retention of the project or the organization."
)


class ResponsesSurface:
    """Reads requests for responses and has them generated, and stored where that is wanted and allowed."""

    def __init__(
        self,
        config: GatewayConfig,
        *,
        authenticator: Authenticator,
        generation: GenerationSurface,
        snapshot: Snapshot,
        keeper: ResponseKeeper | None,
    ) -> None:
        self._config, self._authenticator, self._generation = config, authenticator, generation
        self._snapshot, self._keeper = snapshot, keeper

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request. Raises `GatewayFault`, `ClientLeft`."""
        principal = await identified(exchange, self._authenticator)
        must(principal, "inference.complete")
        asked = response_request_of(document_of(await exchange.body(self._config)))
        keeper = await self._keeper_for(principal, wished=asked.store)
        if asked.previous_id is not None:
            asked = asked.after(await self._before(exchange, principal, asked.previous_id))
        numbers = EventNumbers()
        exchange.faults = ResponseFaults(numbers)
        dialect = ResponseDialect({**asked.repeated, "store": keeper is not None}, numbers)
        finish: Finish = nothing_more
        if keeper is not None:
            finish = partial(_store, keeper, principal, exchange.request_id, asked, dialect)
        await self._generation.generate(exchange, principal, asked.request, dialect, finish)

    async def _keeper_for(self, principal: Principal, *, wished: bool | None) -> ResponseKeeper | None:
        """Who stores this response: as was wished, or else as the project's data retention has it."""
        if wished is False or (self._keeper is None and not wished):
            return None
        if self._keeper is None:
            raise ResponsesNotStored(_NO_KEEPER, param="store")
        project = await self._snapshot.project(principal.project_id)
        if project is not None and project.stores_responses:
            return self._keeper
        if wished:
            raise ResponsesNotStored(_ZERO_RETENTION, param="store")
        return None

    async def _before(
        self, exchange: Exchange, principal: Principal, previous_id: UUID
    ) -> tuple[ChatMessage, ...]:
        """The turns up to the end of a stored response."""
        must(principal, "response.read")
        param = "previous_response_id"
        if self._keeper is None:
            raise PreviousResponseNotFound(
                "This gateway stores no responses, so none can be continued: send the items so far in "
                "'input', or ask at the platform's own address.",
                param=param,
            )
        request_id = exchange.request_id
        return read_input(
            await self._keeper.items_until(principal, previous_id, request_id=request_id), param
        )


async def _store(
    keeper: ResponseKeeper, principal: Principal, request_id: UUID, asked: Asked, dialect: "ResponseDialect"
) -> None:
    await keeper.keep(
        FinishedResponse(
            request_id=request_id,
            principal=principal,
            previous_id=asked.previous_id,
            input=items_of(asked.given, request_id),
            response=dialect.response,
        )
    )


class ResponseFaults(OpenAiFaults):
    """OpenAI's error object; in a stream the event `error`, numbered as the others are."""

    def __init__(self, numbers: EventNumbers) -> None:
        self._numbers = numbers

    def event(self, fault: GatewayFault) -> bytes:
        """The published event of a stream that failed."""
        return self._numbers.event("error", code=fault.code, message=fault.message, param=fault.param)


class ResponseDialect:
    """One response, whole or streamed; `repeated` is what it repeats of its request.

    `response` is the object, once it is written.
    """

    def __init__(self, repeated: Mapping[str, Any], numbers: EventNumbers) -> None:
        self._repeated, self._numbers = repeated, numbers
        self.response: dict[str, Any] = {}

    def whole(self, exchange: Exchange, plan: Plan, answer: Answer) -> bytes:
        """A `response` object."""
        writer = self.writer(plan)
        choice = answer.choices[0]
        for token in choice.tokens:
            writer.token(token)
        writer.ended(choice.end)
        return orjson.dumps(writer.finished(answer.finished.usage))

    def writer(self, plan: Plan) -> "ResponseWriter":
        """For the events of a stream."""
        return ResponseWriter(plan, self._repeated, self._numbers, self.response)


class ResponseWriter:
    """Writes the events of one stream, from `response.created` to `response.completed`.

    `written` is filled with the whole response at the end.
    """

    def __init__(
        self, plan: Plan, repeated: Mapping[str, Any], numbers: EventNumbers, written: dict[str, Any]
    ) -> None:
        self._plan, self._repeated, self._numbers, self._written = plan, repeated, numbers, written
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
        self._written |= self._response("completed" if self._complete else "incomplete", usage)
        return self._written

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
