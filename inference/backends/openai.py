"""A client of OpenAI-compatible model servers: vLLM, SGLang, llama.cpp's server, TGI's Messages API.

Every generation is a streamed `/v1/completions` with the rendered prompt: templates, control tokens and
limits stay the gateway's own, whatever the server would make of messages.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from inference.backends.faults import BackendFault, Broken, CannotCount, OtherModel
from inference.backends.http11 import Connection, Pool, Sent, nobody_cares
from inference.backends.interface import (
    BackendAddress,
    Begun,
    End,
    EndReason,
    ForwardedAnswer,
    ForwardedCall,
    GenerationCall,
    Piece,
    Timeouts,
    forget,
)
from inference.backends.openai_chunks import pieces_of, reason_of
from inference.backends.openai_errors import fault_of
from inference.backends.openai_words import dialect_of, model_name, request_of
from inference.backends.streams import EventStream

_UNKNOWN = -1
_DONE = b"[DONE]"


class OpenAiStream(EventStream):
    """One generation under way. `asked_for` is the name that answers must carry, None where they carry none.

    `count` finds the prompt's length for a server that ends without having told it.
    """

    def __init__(
        self,
        connection: Connection,
        timeouts: Timeouts,
        *,
        asked_for: str | None,
        running_usage: bool,
        count: Callable[[], Awaitable[int]],
    ) -> None:
        super().__init__(connection, timeouts)
        self._asked_for, self._running_usage, self._count = asked_for, running_usage, count
        self._reason: EndReason | None = None
        self._counted = 0
        self._told: int | None = None

    async def next(self) -> Piece | End:
        """The next event; see `BackendStream`."""
        event = await super().next()
        if type(event) is End and event.prompt_tokens == _UNKNOWN:
            return replace(event, prompt_tokens=await self._count())
        return event

    def _events(self, payload: bytes) -> Sequence[Piece | End]:
        if payload.strip() == _DONE:
            return self._end()
        chunk = orjson.loads(payload)
        if chunk.get("error") or chunk.get("object") == "error":
            raise fault_of(chunk, status=200)
        name = chunk.get("model")
        if self._asked_for is not None and name is not None and name != self._asked_for:
            raise OtherModel("The model server says that another model answered.")
        usage = chunk.get("usage")
        if usage:
            self.prompt_tokens, self._told = int(usage["prompt_tokens"]), int(usage["completion_tokens"])
        if not chunk["choices"]:
            return self._end() if usage and self._reason is not None else ()
        return self._pieces(chunk["choices"][0], running=bool(usage) and self._running_usage)

    def _pieces(self, choice: dict[str, Any], *, running: bool) -> list[Piece]:
        counted = max(0, (self._told or 0) - self._counted) if running else None
        pieces = pieces_of(choice, counted=counted)
        self._counted += sum(piece.tokens for piece in pieces)
        self._reason = reason_of(choice) or self._reason
        return pieces

    def _end(self) -> Sequence[Piece | End]:
        if self._reason is None:
            raise Broken("The model server ended its stream before the last event.")
        self._ended = True
        prompt_tokens = _UNKNOWN if self.prompt_tokens is None else self.prompt_tokens
        return [End(self._reason, prompt_tokens, self._counted if self._told is None else self._told)]

    def _at_close(self) -> Sequence[Piece | End]:
        """Some servers leave `[DONE]` out; what ended with a reason ended well."""
        return self._end()


class OpenAiBackend:
    """An OpenAI-compatible server."""

    def __init__(self, address: BackendAddress, *, key: str, timeouts: Timeouts) -> None:
        self._address, self._timeouts = address, timeouts
        self._dialect = dialect_of(address)
        self._pool = Pool(
            address.url, bearer=key, connect_seconds=timeouts.connect, hang_up_seconds=timeouts.hang_up
        )

    async def open(self, call: GenerationCall, begun: Begun = forget) -> OpenAiStream:
        """Start a generation; see `Backend`."""
        body = orjson.dumps(request_of(call, self._address, self._dialect))
        streams: list[OpenAiStream] = []

        def sent(connection: Connection) -> None:
            streams.append(self._stream(connection, call))
            begun(streams[-1])

        await self._post("/v1/completions", body, sent)
        return streams[-1]

    def _stream(self, connection: Connection, call: GenerationCall) -> OpenAiStream:
        checked = self._dialect.names_model and call.served_as is not None
        return OpenAiStream(
            connection,
            self._timeouts,
            asked_for=model_name(call, self._address, self._dialect) if checked else None,
            running_usage=self._dialect.running_usage,
            count=lambda: self.count_tokens(call),
        )

    async def count_tokens(self, call: GenerationCall) -> int:
        """Tokens of the prompt by the server's `/tokenize`. Raises `CannotCount` where there is none."""
        word = self._dialect.prompt_word
        if word is None:
            raise CannotCount("This model server cannot count tokens.")
        model = model_name(call, self._address, self._dialect)
        # A completion's prompt gets the tokenizer's own tokens too, and its control tokens are read as such.
        special = {"add_special": True, "parse_special": True} if word == "content" else {}
        body = orjson.dumps({"model": model, word: call.prompt, **special})
        connection = await self._post("/tokenize", body)
        count = _count_in(await connection.whole(self._timeouts.inter_token))
        return count if call.truncate is None else min(count, call.truncate)

    async def forward(self, call: ForwardedCall) -> ForwardedAnswer:
        """The server's answer to a request that is no generation; see `Forwards`."""
        name = model_name(call, self._address, self._dialect)
        connection = await self._post(call.route, orjson.dumps({"model": name, **call.body}))
        try:
            answer = orjson.loads(await connection.whole(self._timeouts.first_token))
        except orjson.JSONDecodeError as error:
            raise Broken("The model server's answer cannot be read.") from error
        if not isinstance(answer, dict):
            raise Broken("The model server's answer is no JSON object.")
        checked = self._dialect.names_model and call.served_as is not None
        if checked and answer.get("model", name) != name:
            raise OtherModel("The model server says that another model answered.")
        return answer

    async def _post(self, path: str, body: bytes, sent: Sent = nobody_cares) -> Connection:
        connection = await self._pool.post(path, body, timeout_seconds=self._timeouts.first_token, sent=sent)
        if connection.status == 200:
            return connection
        answer = await connection.whole(self._timeouts.inter_token)
        try:
            document = orjson.loads(answer)
        except orjson.JSONDecodeError:
            document = None
        retry_after = connection.headers.get(b"retry-after")
        raise fault_of(document, status=connection.status, retry_after=retry_after)

    async def healthy(self) -> bool:
        """`/health`, which all flavours have."""
        try:
            connection = await self._pool.get("/health", timeout_seconds=self._timeouts.connect)
            await connection.whole(self._timeouts.connect)
        except BackendFault:
            return False
        return connection.status == 200

    async def describe(self) -> Mapping[str, object]:
        """`/v1/models`."""
        connection = await self._pool.get("/v1/models", timeout_seconds=self._timeouts.connect)
        answer = orjson.loads(await connection.whole(self._timeouts.connect))
        return answer if isinstance(answer, dict) else {}

    async def aclose(self, *, at_once: bool = False) -> None:
        """Close every connection; see `Backend`."""
        await self._pool.aclose(at_once=at_once)


def _count_in(answer: bytes) -> int:
    """The number of tokens in an answer of `/tokenize`: a count, or the tokens themselves."""
    try:
        document = orjson.loads(answer)
        if isinstance(document, list):
            return len(document)
        return int(document["count"]) if "count" in document else len(document["tokens"])
    except (ValueError, KeyError, TypeError) as error:
        raise Broken("The model server's count of tokens cannot be read.") from error
