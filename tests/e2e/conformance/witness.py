"""Reads along with what clients are told, and holds every answer and every event to what is published."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from inference.gateway.http import Receive, Scope, Send
from tests.published.schemas import event_schemas, fits

# For each address: what a whole answer and an event of a stream are.
OPENAI = {
    "/v1/chat/completions": ("CreateChatCompletionResponse", "CreateChatCompletionStreamResponse"),
    "/v1/completions": ("CreateCompletionResponse", "CreateCompletionResponse"),
    "/v1/responses": ("Response", ""),
    "/v1/models": ("ListModelsResponse", ""),
    "/v1/models/{model}": ("Model", ""),
}
TGI = {
    "": ("GenerateResponse", "StreamResponse"),
    "/generate": ("GenerateResponse", ""),
    "/generate_stream": ("", "StreamResponse"),
    "/tokenize": ("TokenizeResponse", ""),
    "/chat_tokenize": ("ChatTokenizeResponse", ""),
    "/info": ("Info", ""),
}
_ENDPOINT = re.compile(r"/tgi/[^/]+(/\w+)?")
_MODEL = re.compile(r"/v1/models/.+")
_OF_TGI = re.compile(r"/tgi/[^/]+(?=/v1/)")


@dataclass
class Answer:
    """One answer as it went out; `ended` unless its client left before."""

    path: str
    status: int = 0
    streamed: bool = False
    ended: bool = False
    body: bytearray = field(default_factory=bytearray)

    def events(self) -> list[Any]:
        """The documents of a stream's events; the last one may be cut off."""
        blocks = bytes(self.body).split(b"\n\n")[:-1]
        lines = [line for block in blocks for line in block.splitlines() if line.startswith(b"data:")]
        return [json.loads(line[5:]) for line in lines if line[5:].strip() != b"[DONE]"]


class Witness:
    """An application before the gateway that changes nothing."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self.answers: list[Answer] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        answer = Answer(scope["path"])
        self.answers.append(answer)

        async def tell(message: Any) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                kind = dict(message["headers"])[b"content-type"]
                answer.streamed = kind.startswith(b"text/event-stream")
            else:
                answer.body += message.get("body", b"")
                answer.ended = not message.get("more_body", False)
            await send(message)

        await self._application(scope, receive, tell)

    def check(self) -> Counter[str]:
        """How many documents of each schema were told since the last time.

        Raises `jsonschema.ValidationError` for the first that is not as published.
        """
        counted: Counter[str] = Counter()
        answers, self.answers = self.answers, []
        for answer in answers:
            for name, schema, document in told(answer):
                fits(name, schema, document)
                counted[schema] += 1
        return counted


def told(answer: Answer) -> Iterator[tuple[str, str, Any]]:
    """Each document of an answer, with the specification and the schema that it is held to."""
    of_tgi = answer.path.startswith("/tgi/")
    native = of_tgi and not _OF_TGI.match(answer.path)
    if answer.streamed:
        for event in answer.events():
            if "error" in event:
                yield "tgi" if of_tgi else "openai", "ErrorResponse", event
            else:
                yield (_native_event if native else _event)(answer.path, event)
    elif answer.ended and answer.body:
        document = json.loads(answer.body)
        if answer.status >= 400:
            yield "tgi" if of_tgi else "openai", "ErrorResponse", document
        elif native:
            yield from _native(answer.path, document)
        else:
            yield "openai", OPENAI[_openai_path(answer.path)][0], document


def _openai_path(path: str) -> str:
    return _MODEL.sub("/v1/models/{model}", _OF_TGI.sub("", path))


def _native(path: str, document: Any) -> Iterator[tuple[str, str, Any]]:
    endpoint = _native_endpoint(path)
    # The address itself answers with a list.
    for one in document if endpoint == "" else [document]:
        yield "tgi", TGI[endpoint][0], one


def _native_endpoint(path: str) -> str:
    found = _ENDPOINT.fullmatch(path)
    assert found is not None, path
    return found[1] or ""


def _native_event(path: str, event: Any) -> tuple[str, str, Any]:
    return "tgi", TGI[_native_endpoint(path)][1], event


def _event(path: str, event: Any) -> tuple[str, str, Any]:
    path = _openai_path(path)
    if path == "/v1/responses":
        return "openai", event_schemas()[event["type"]], event
    if path == "/v1/completions":
        # OpenAI's own streams have null there until the last chunk; the schema is that of whole answers.
        for choice in event["choices"]:
            choice["finish_reason"] = choice["finish_reason"] or "stop"
        if event.get("usage", 0) is None:
            del event["usage"]
    return "openai", OPENAI[path][1], event
