"""Images made of a prompt. They come as data: an address on a model server would lead its caller nowhere."""

from functools import partial
from typing import Any
from uuid import UUID

import orjson

from inference.backends.interface import ForwardedAnswer
from inference.gateway.contract import Usage
from inference.gateway.faults import InvalidValue, UnsupportedParameter
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

PATH = "/v1/images/generations"
_MAX_PROMPT_CHARACTERS = 32_000
_MAX_IMAGES = 10
_IN_BASE64 = "b64_json"
_DRAWS = Requirement(
    "images",
    "model",
    "The model `{model}` makes no images. Deploy an image model on an OpenAI-compatible server with the "
    "feature 'images' and name that deployment.",
)
_USAGE = frozenset({"input_tokens", "output_tokens", "total_tokens", "input_tokens_details"})
_TOLD = ("background", "output_format", "size", "quality")


@checks.accepting(type="string", minLength=1)
def _prompt(value: object, param: str) -> object:
    found = checks.short_text(_MAX_PROMPT_CHARACTERS)(value, param)
    if not found:
        raise InvalidValue(f"Invalid '{param}': it cannot be empty.", param=param)
    return found


@checks.accepting(enum=[_IN_BASE64])
def _response_format(value: object, param: str) -> str:
    if checks.text(value, param) != _IN_BASE64:
        raise UnsupportedParameter(
            f"Unsupported value: images are given as '{_IN_BASE64}' only.", param=param
        )
    return _IN_BASE64


TABLE = Table(
    required=("model", "prompt"),
    honoured={
        "model": SHARED["model"],
        "prompt": ("prompt", _prompt),
        "n": ("n", checks.integer(1, _MAX_IMAGES)),
        "response_format": ("response_format", _response_format),
        "output_compression": ("output_compression", checks.integer(0, 100)),
        **{
            name: (name, checks.short_text(64))
            for name in ("size", "quality", "style", "background", "output_format", "moderation")
        },
    },
    harmless={"user": checks.short_text(512)},
    neutral={"stream": lambda value: value is False, "partial_images": lambda value: value == 0},
)


def images_errand_of(document: dict[str, Any]) -> Errand:
    """The request in this document. Raises an `InvalidRequest` that names the parameter at fault."""
    fields = TABLE.read(document)
    check_model(fields)
    model, _ = fields.pop("model"), fields.pop("given")
    return Errand(
        model=model,
        surface="images",
        route=PATH,
        body=fields | {"response_format": _IN_BASE64},
        subject="prompt",
        texts=[fields["prompt"]],
        most_tokens=most_tokens_of([fields["prompt"]]),
        requirements=(_DRAWS,),
        render=partial(_render, count=fields.get("n", 1)),
        generates=True,
    )


def _render(request_id: UUID, answer: ForwardedAnswer, *, count: int) -> Rendered:
    data = answer.get("data")
    if not isinstance(data, list) or len(data) != count:
        raise other_shape("the images")
    document: dict[str, Any] = {
        "created": (request_id.int >> 80) // 1000,
        "data": [_image(one) for one in data],
        **{name: answer[name] for name in _TOLD if isinstance(answer.get(name), str)},
    }
    usage = answer.get("usage")
    given, made = tokens_in(usage, "input_tokens"), tokens_in(usage, "output_tokens")
    if isinstance(usage, dict) and set(usage) >= _USAGE:
        document["usage"] = usage
    return Rendered(orjson.dumps(document), Usage(given or 0, made or 0))


def _image(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not isinstance(value.get(_IN_BASE64), str):
        raise other_shape("the data of the images")
    names = (_IN_BASE64, "revised_prompt")
    return {name: value[name] for name in names if isinstance(value.get(name), str)}
