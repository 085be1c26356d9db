"""Moderations: a classifier's word on each text."""

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

PATH = "/v1/moderations"
_MAX_INPUTS = 2048
_CLASSIFIES = Requirement(
    "moderations",
    "model",
    "The model `{model}` does not classify texts. Deploy a moderation model on an OpenAI-compatible server "
    "with the feature 'moderations' and name that deployment.",
)


@checks.accepting(anyOf=[{"type": "string"}, {"type": "array", "minItems": 1}])
def _inputs(value: object, param: str) -> list[str]:
    """A text, texts, or parts that are texts."""
    if isinstance(value, str):
        return [checks.text(value, param)]
    if not isinstance(value, list):
        raise checks.wrong_type(value, param, "a string or an array")
    if not 0 < len(value) <= _MAX_INPUTS:
        raise InvalidValue(f"Invalid '{param}': expected 1 to {_MAX_INPUTS} inputs.", param=param)
    return [_input(one, f"{param}[{place}]") for place, one in enumerate(value)]


def _input(value: object, param: str) -> str:
    if isinstance(value, str):
        return checks.text(value, param)
    part = checks.mapping(value, param)
    if part.get("type") != "text":
        raise UnsupportedParameter("Texts only can be classified here.", param=f"{param}.type")
    return checks.text(part.get("text"), f"{param}.text")


TABLE = Table(
    required=("model", "input"),
    honoured={"model": SHARED["model"], "input": ("inputs", _inputs)},
)


def moderations_errand_of(document: dict[str, Any]) -> Errand:
    """The request in this document. Raises an `InvalidRequest` that names the parameter at fault."""
    fields = TABLE.read(document)
    check_model(fields)
    inputs: list[str] = fields["inputs"]
    return Errand(
        model=fields["model"],
        surface="moderations",
        route=PATH,
        body={"input": inputs},
        subject="input",
        texts=inputs,
        most_tokens=most_tokens_of(inputs),
        requirements=(_CLASSIFIES,),
        render=partial(_render, model=fields["model"], count=len(inputs)),
    )


def _render(request_id: UUID, answer: ForwardedAnswer, *, model: str, count: int) -> Rendered:
    results = answer.get("results")
    if not isinstance(results, list) or len(results) != count or not all(map(_is_result, results)):
        raise other_shape("a result for each input")
    document = {"id": f"modr-{request_id.hex}", "model": model, "results": results}
    tokens = tokens_in(answer.get("usage"), "prompt_tokens")
    return Rendered(orjson.dumps(document), Usage(tokens or 0, 0))


def _is_result(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("flagged"), bool)
        and isinstance(value.get("categories"), dict)
        and isinstance(value.get("category_scores"), dict)
    )
