"""Embeddings: texts or tokens in, a vector for each."""

import base64
import struct
from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID

import orjson

from inference.backends.interface import ForwardedAnswer
from inference.gateway.contract import Usage
from inference.gateway.faults import InvalidValue
from inference.gateway.forwarding.errand import (
    Errand,
    Rendered,
    Requirement,
    most_tokens_of,
    other_shape,
    tokens_in,
)
from inference.gateway.requests import checks
from inference.gateway.requests.parameters import SHARED, Table, check_model

PATH = "/v1/embeddings"
_MAX_INPUTS = 2048
_MAX_DIMENSIONS = 65_536
_MAX_TOKEN_ID = 2**31 - 1
_FORMATS = ("float", "base64")
_EMBEDS = Requirement(
    "embeddings",
    "model",
    "The model `{model}` gives no embeddings. Deploy an embedding model on an OpenAI-compatible server with "
    "the feature 'embeddings' and name that deployment.",
)
_SHORTENS = Requirement(
    "embedding_dimensions",
    "dimensions",
    "Unsupported parameter: 'dimensions' is not supported with the model `{model}`: its embeddings have one "
    "length only.",
)

Inputs = Sequence[str] | Sequence[list[int]]


@checks.accepting(anyOf=[{"type": "string"}, {"type": "array", "minItems": 1, "maxItems": _MAX_INPUTS}])
def _inputs(value: object, param: str) -> Inputs:
    """One input or several, as texts or as the ids of tokens."""
    if isinstance(value, str):
        return [_text(value, param)]
    if not isinstance(value, list):
        raise checks.wrong_type(value, param, "a string or an array")
    if not value:
        raise InvalidValue(f"Invalid '{param}': empty array. Expected at least one item.", param=param)
    if isinstance(value[0], int):
        return [_tokens(value, param)]
    if len(value) > _MAX_INPUTS:
        raise InvalidValue(f"Invalid '{param}': at most {_MAX_INPUTS} inputs are allowed.", param=param)
    if isinstance(value[0], list):
        return [_tokens(one, f"{param}[{place}]") for place, one in enumerate(value)]
    return [_text(one, f"{param}[{place}]") for place, one in enumerate(value)]


def _text(value: object, param: str) -> str:
    found = checks.text(value, param)
    if not found:
        raise InvalidValue(f"Invalid '{param}': it cannot be empty.", param=param)
    return found


def _tokens(value: object, param: str) -> list[int]:
    if not isinstance(value, list):
        raise checks.wrong_type(value, param, "an array of integers")
    if not value:
        raise InvalidValue(f"Invalid '{param}': it cannot be empty.", param=param)
    read = checks.integer(0, _MAX_TOKEN_ID)
    for place, one in enumerate(value):
        read(one, f"{param}[{place}]")
    return value


@checks.accepting(enum=list(_FORMATS))
def _format(value: object, param: str) -> str:
    found = checks.text(value, param)
    if found not in _FORMATS:
        raise InvalidValue(
            f"Invalid value: '{found[:64]}'. Supported values are: 'float' and 'base64'.", param=param
        )
    return found


TABLE = Table(
    required=("model", "input"),
    honoured={
        "model": SHARED["model"],
        "input": ("inputs", _inputs),
        "encoding_format": ("encoding", _format),
        "dimensions": ("dimensions", checks.integer(1, _MAX_DIMENSIONS)),
    },
    harmless={"user": checks.short_text(512)},
)


def embeddings_errand_of(document: dict[str, Any]) -> Errand:
    """The request in this document. Raises an `InvalidRequest` that names the parameter at fault."""
    fields = TABLE.read(document)
    check_model(fields)
    inputs: Inputs = fields["inputs"]
    texts = [one for one in inputs if isinstance(one, str)]
    dimensions: int | None = fields.get("dimensions")
    body: dict[str, object] = {"input": inputs, "encoding_format": "float"}
    if dimensions is not None:
        body["dimensions"] = dimensions
    return Errand(
        model=fields["model"],
        surface="embeddings",
        route=PATH,
        body=body,
        subject="input",
        texts=texts,
        most_tokens=most_tokens_of(texts) + sum(len(one) for one in inputs if not isinstance(one, str)),
        requirements=(_EMBEDS,) if dimensions is None else (_EMBEDS, _SHORTENS),
        render=partial(
            _render,
            model=fields["model"],
            count=len(inputs),
            dimensions=dimensions,
            in_base64=fields.get("encoding") == "base64",
        ),
    )


def _render(
    _: UUID, answer: ForwardedAnswer, *, model: str, count: int, dimensions: int | None, in_base64: bool
) -> Rendered:
    vectors = _vectors(answer.get("data"), count, dimensions)
    tokens = tokens_in(answer.get("usage"), "prompt_tokens")
    if tokens is None:
        raise other_shape("its usage, so the request cannot be metered")
    data = [
        {"object": "embedding", "index": index, "embedding": _in_base64(vector) if in_base64 else vector}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    document = {"object": "list", "data": data, "model": model, "usage": usage}
    return Rendered(orjson.dumps(document), Usage(tokens, 0))


def _vectors(data: object, count: int, dimensions: int | None) -> list[list[float]]:
    """The vectors in the order of the inputs."""
    if not isinstance(data, list) or len(data) != count:
        raise other_shape("an embedding for each input")
    found: dict[int, list[float]] = {}
    for place, one in enumerate(data):
        index = one.get("index", place) if isinstance(one, dict) else None
        if type(index) is int:
            found[index] = _vector(one.get("embedding"), dimensions)
    if set(found) != set(range(count)):
        raise other_shape("an embedding for each input")
    return [found[index] for index in range(count)]


def _vector(value: object, dimensions: int | None) -> list[float]:
    if not isinstance(value, list) or not value or not all(type(one) in (int, float) for one in value):
        raise other_shape("embeddings that are vectors")
    if dimensions is not None and len(value) != dimensions:
        raise other_shape("embeddings of the length that was asked for")
    return value


def _in_base64(vector: list[float]) -> str:
    """32-bit floats, the lowest byte first."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
