"""A request of Text Generation Inference's own API, parsed."""

import secrets
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from inference.gateway.contract import GenerationRequest, Grammar
from inference.gateway.faults import InvalidRequest, InvalidValue, MissingParameter, UnknownParameter
from inference.gateway.planning.features import MAX_TOP_LOGPROBS
from inference.gateway.requests import checks
from inference.gateway.requests.checks import Read
from inference.gateway.requests.parameters import MAX_TOKENS, pattern, schema, stop_sequences

MAX_BEST_OF = 4
_MAX_SEED = 2**63 - 1
_SHAPES_SAMPLING = ("temperature", "top_k", "top_p", "typical_p")


def _inputs(value: object, param: str) -> str:
    found = checks.text(value, param)
    if not found:
        raise InvalidValue("`inputs` cannot be empty", param=param)
    return found


@checks.accepting(type="array", items={"type": "string"})
def _stop(value: object, param: str) -> tuple[str, ...]:
    if isinstance(value, str):
        raise checks.wrong_type(value, param, "an array of strings")
    return stop_sequences(value, param)


@checks.accepting(
    type="object",
    properties={"type": {"enum": ["json", "json_schema", "regex"]}, "value": {}},
    required=["type", "value"],
)
def _grammar(value: object, param: str) -> Grammar:
    wanted = checks.mapping(value, param)
    checks.only(wanted, ("type", "value"), f"{param}.")
    kind, given, place = wanted.get("type"), wanted.get("value"), f"{param}.value"
    if kind == "regex":
        return Grammar("regex", pattern=pattern(given, place))
    if kind == "json":
        return Grammar("json", schema=schema(_decoded(given, place), place))
    if kind == "json_schema":
        inner = checks.mapping(given, place).get("schema")
        return Grammar("json", schema=schema(_decoded(inner, f"{place}.schema"), f"{place}.schema"))
    raise InvalidValue(
        f"Invalid value for '{param}.type'. Supported values are: 'json', 'json_schema', 'regex'.",
        param=f"{param}.type",
    )


def _decoded(value: object, param: str) -> object:
    """A schema may be given as text."""
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        raise InvalidValue(f"Invalid '{param}': it is not JSON.", param=param) from None


PARAMETERS: Mapping[str, tuple[str, Read]] = {
    "best_of": ("best_of", checks.integer(1, MAX_BEST_OF)),
    "temperature": ("temperature", checks.above_zero(100)),
    "repetition_penalty": ("repetition_penalty", checks.above_zero(100)),
    "frequency_penalty": ("frequency_penalty", checks.number(-2, 2)),
    "top_k": ("top_k", checks.integer(1, MAX_TOKENS)),
    "top_p": ("top_p", checks.above_zero(1)),
    "typical_p": ("typical_p", checks.above_zero(1)),
    "max_new_tokens": ("max_tokens", checks.integer(1, MAX_TOKENS)),
    "return_full_text": ("echo", checks.boolean),
    "stop": ("stop", _stop),
    "truncate": ("truncate", checks.integer(1, MAX_TOKENS)),
    "watermark": ("watermark", checks.boolean),
    "details": ("details", checks.boolean),
    "seed": ("seed", checks.integer(0, _MAX_SEED)),
    "top_n_tokens": ("top_logprobs", checks.integer(0, MAX_TOP_LOGPROBS)),
    "grammar": ("grammar", _grammar),
}
# Read here, and no fields of the request.
FURTHER: Mapping[str, Read] = {
    "do_sample": checks.boolean,
    "decoder_input_details": checks.boolean,
    "adapter_id": checks.short_text(256),
}


def native_request_of(
    document: Mapping[str, Any], *, model: str, stream: bool | None, answers_to: Callable[[str], bool]
) -> GenerationRequest:
    """The request in this decoded document, to the deployment that the path names.

    `stream` None leaves it to the document, which otherwise may not contradict it. `answers_to` says whether
    an `adapter_id` means that very deployment: the path alone chooses. Raises an `InvalidRequest` that names
    the parameter at fault.
    """
    inputs = _inputs_of(document)
    streams = _streams(document.get("stream"), fixed=stream)
    given = document.get("parameters")
    parameters = {} if given is None else checks.mapping(given, "parameters")
    fields: dict[str, Any] = {}
    for name, value in parameters.items():
        if name in PARAMETERS:
            if value is not None:
                field, read = PARAMETERS[name]
                fields[field] = read(value, name)
        elif name not in FURTHER:
            raise UnknownParameter(f"Unknown parameter: '{name[:64]}'.", param=name[:64])
        elif value is not None:
            FURTHER[name](value, name)
    _check_together(parameters, fields, stream=streams)
    adapter = parameters.get("adapter_id")
    if adapter and not answers_to(str(adapter)):
        raise InvalidValue(
            "Invalid value for 'adapter_id': the model is chosen by the path of the request.",
            param="adapter_id",
        )
    _settle_sampling(parameters, fields)
    fields["given"] = frozenset(name for name, value in parameters.items() if value is not None)
    return GenerationRequest(
        model=model, prompts=(inputs,), stream=streams, verbatim=True, surface="tgi", **fields
    )


def _streams(given: object, *, fixed: bool | None) -> bool:
    wanted = None if given is None else bool(checks.boolean(given, "stream"))
    if fixed is not None and wanted not in (None, fixed):
        address = "/generate_stream" if wanted else "/generate"
        raise InvalidValue(f"Invalid value for 'stream' at this address: use '{address}'.", param="stream")
    return bool(wanted if fixed is None else fixed)


def _inputs_of(document: Mapping[str, Any]) -> str:
    checks.only(document, ("inputs", "parameters", "stream"), "")
    if document.get("inputs") is None:
        raise MissingParameter("Missing required parameter: 'inputs'.", param="inputs")
    return _inputs(document["inputs"], "inputs")


def _check_together(parameters: Mapping[str, Any], fields: Mapping[str, Any], *, stream: bool) -> None:
    fault: InvalidRequest | None = None
    best_of = fields.get("best_of", 1)
    if parameters.get("decoder_input_details"):
        fault = InvalidValue(
            "`decoder_input_details` is not supported: answers are always streamed from the model.",
            param="decoder_input_details",
        )
    elif best_of > 1 and stream:
        fault = InvalidValue("`best_of` != 1 is not supported when streaming tokens", param="best_of")
    elif best_of > 1 and fields.get("seed") is not None:
        fault = InvalidValue("`seed` must not be set when `best_of` > 1", param="seed")
    elif best_of > 1 and not _samples(parameters):
        fault = InvalidValue("you must use sampling when `best_of` is > 1", param="best_of")
    if fault is not None:
        raise fault


def _samples(parameters: Mapping[str, Any]) -> bool:
    """As in TGI: asked for, or implied by anything that shapes the sampling."""
    shaped = (parameters.get(name) for name in _SHAPES_SAMPLING)
    return bool(parameters.get("do_sample")) or any(value not in (None, 1) for value in shaped)


def _settle_sampling(parameters: Mapping[str, Any], fields: dict[str, Any]) -> None:
    """Greedy is a temperature of 0 inside. A seed that nobody chose is chosen here, so that it is known."""
    if not _samples(parameters):
        fields["temperature"] = 0.0
    elif fields.get("seed") is None:
        fields["seed"] = secrets.randbits(62)
