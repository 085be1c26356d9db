"""The gateway's addresses in OpenAPI 3: what a request may say comes from the tables by which it is read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from inference.gateway.application import CHAT_PATH, COMPLETIONS_PATH
from inference.gateway.forwarding import embeddings, images, moderations
from inference.gateway.requests import chat as chat_requests
from inference.gateway.requests import text as text_requests
from inference.gateway.requests.checks import Read, shape_of
from inference.gateway.requests.native import FURTHER, PARAMETERS
from inference.gateway.requests.parameters import Table
from inference.gateway.responses import requests as response_requests
from inference.gateway.responses import surface as responses
from inference.gateway.surfaces import models, native

Document = dict[str, Any]

_TAG, _NATIVE_TAG = "inference", "tgi"
TAGS: Mapping[str, str] = {
    _TAG: "Requests to models, as OpenAI's API has them.",
    _NATIVE_TAG: "Requests to models, as Text Generation Inference has them.",
}
_MODEL = "smollm2-135m-instruct"
_JSON, _EVENTS = "application/json", "text/event-stream"
_HELLO = [{"role": "user", "content": "Say hello."}]


@dataclass(frozen=True)
class _Posted:
    """An address to which requests are sent."""

    path: str
    title: str
    table: Table
    example: Mapping[str, Any]
    streams: bool = False


_POSTED = (
    _Posted(CHAT_PATH, "Answer a conversation", chat_requests.TABLE, {"messages": _HELLO}, streams=True),
    _Posted(
        COMPLETIONS_PATH, "Continue a text", text_requests.TABLE, {"prompt": "Once upon a time"}, streams=True
    ),
    _Posted(
        responses.PATH, "Make a response", response_requests.TABLE, {"input": "Say hello."}, streams=True
    ),
    _Posted(embeddings.PATH, "Embed texts", embeddings.TABLE, {"input": "A text"}),
    _Posted(moderations.PATH, "Classify texts", moderations.TABLE, {"input": "A text"}),
    _Posted(images.PATH, "Make images", images.TABLE, {"prompt": "A loom"}),
)
_NATIVE: tuple[tuple[str, str, str], ...] = (
    ("", "Generate, streamed where the body says `stream`", _JSON),
    ("/generate", "Generate", _JSON),
    ("/generate_stream", "Generate, streamed", _EVENTS),
    ("/tokenize", "The tokens of a text", _JSON),
)


def paths() -> Document:
    """OpenAPI's `paths`. Refusals are described by the control plane's shape `ErrorBody`."""
    found: Document = {one.path: {"post": _posted(one)} for one in _POSTED}
    found[models.PATH] = {"get": _read("models_list", "The models of the project")}
    model = _variable("model", "The alias of a model.")
    found[f"{models.PATH}/{{model}}"] = {"get": _read("models_retrieve", "One model", model)}
    found.update(_native_paths(_variable("model", "The alias of a model, URL-encoded.")))
    return found


def _posted(one: _Posted) -> Document:
    body = {
        "type": "object",
        "required": list(one.table.required),
        "properties": dict(_properties(one.table)),
        "example": {"model": _MODEL, **one.example},
    }
    media = (_JSON, _EVENTS) if one.streams else (_JSON,)
    name = one.path.removeprefix("/v1/").replace("/", "_")
    return _operation(name, one.title, media, body=body)


def _properties(table: Table) -> Iterator[tuple[str, Document]]:
    """What changes the answer, then what is checked only. What is taken at one value alone is left out."""
    for name, (_, read) in table.honoured.items():
        yield name, dict(shape_of(read))
    for name, read in table.harmless.items():
        yield name, dict(shape_of(read))


def _native_paths(model: Document) -> Iterator[tuple[str, Document]]:
    root = f"{native.PREFIX}/{{model}}"
    readers: dict[str, Read] = {name: read for name, (_, read) in PARAMETERS.items()} | dict(FURTHER)
    parameters = {name: dict(shape_of(read)) for name, read in readers.items()}
    body = {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "inputs": {"type": "string"},
            "parameters": {"type": "object", "properties": parameters},
            "stream": {"type": "boolean"},
        },
        "example": {"inputs": "Once upon a time", "parameters": {"max_new_tokens": 20}},
    }
    for place, title, media in _NATIVE:
        name = f"tgi{place.replace('/', '_')}"
        yield f"{root}{place}", {"post": _operation(name, title, (media,), model, body=body, tag=_NATIVE_TAG)}
    chat = {"type": "object", "required": ["messages"], "example": {"messages": _HELLO}}
    tokenized = _operation(
        "tgi_chat_tokenize", "The tokens of a conversation", (_JSON,), model, body=chat, tag=_NATIVE_TAG
    )
    yield f"{root}/chat_tokenize", {"post": tokenized}
    yield f"{root}/info", {"get": _read("tgi_info", "What TGI tells of itself", model, tag=_NATIVE_TAG)}
    yield f"{root}/health", {"get": _read("tgi_health", "Whether it can serve", model, tag=_NATIVE_TAG)}


def _read(name: str, title: str, *parameters: Document, tag: str = _TAG) -> Document:
    return _operation(name, title, (_JSON,), *parameters, tag=tag)


def _operation(
    name: str,
    title: str,
    media: tuple[str, ...],
    *parameters: Document,
    body: Document | None = None,
    tag: str = _TAG,
) -> Document:
    shapes: Mapping[str, Document] = {_JSON: {"type": "object"}, _EVENTS: {"type": "string"}}
    refusal = {"schema": {"$ref": "#/components/schemas/ErrorBody"}}
    described: Document = {
        "operationId": name,
        "summary": title,
        "tags": [tag],
        "parameters": list(parameters),
        "responses": {
            "200": {"description": "", "content": {one: {"schema": shapes[one]} for one in media}},
            "default": {"description": "A refusal.", "content": {_JSON: refusal}},
        },
    }
    if body is not None:
        described["requestBody"] = {"required": True, "content": {_JSON: {"schema": body}}}
    return described


def _variable(name: str, description: str) -> Document:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string"},
    }
