"""A completion request in OpenAI's older form: text in, text out, no chat template."""

from typing import Any

from inference.gateway.contract import GenerationRequest
from inference.gateway.faults import InvalidRequest, InvalidValue, UnsupportedParameter
from inference.gateway.planning.features import MAX_TOP_LOGPROBS
from inference.gateway.requests import checks
from inference.gateway.requests.parameters import (
    MAX_ANSWERS,
    SHARED,
    Table,
    check_model,
    check_stream_options,
    document_of,
)

# OpenAI's own.
_DEFAULT_MAX_TOKENS = 16
_MAX_BEST_OF = 20


@checks.accepting(anyOf=[{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}])
def _prompts(value: object, param: str) -> tuple[str, ...]:
    """One prompt or several, as text."""
    if isinstance(value, str):
        return (checks.text(value, param),)
    if not isinstance(value, list):
        raise checks.wrong_type(value, param, "a string or an array of strings")
    if not value:
        raise InvalidValue(f"Invalid '{param}': empty array. Expected at least one prompt.", param=param)
    if all(isinstance(one, int | list) and not isinstance(one, bool) for one in value):
        raise UnsupportedParameter(
            f"Unsupported '{param}': arrays of tokens are not supported with this model. Send the text.",
            param=param,
        )
    if len(value) > MAX_ANSWERS:
        raise InvalidValue(f"Invalid '{param}': at most {MAX_ANSWERS} prompts are allowed.", param=param)
    return tuple(checks.text(one, f"{param}[{place}]") for place, one in enumerate(value))


TABLE = Table(
    required=("model", "prompt"),
    honoured={
        **SHARED,
        "prompt": ("prompts", _prompts),
        "suffix": ("suffix", checks.text),
        "echo": ("echo", checks.boolean),
        "best_of": ("best_of", checks.integer(1, _MAX_BEST_OF)),
        "logprobs": ("top_logprobs", checks.integer(0, MAX_TOP_LOGPROBS)),
    },
    harmless={"user": checks.short_text(512)},
)


def parse_completion_request(body: bytes) -> GenerationRequest:
    """The request in this JSON document. Raises an `InvalidRequest` that names the parameter at fault."""
    return completion_request_of(document_of(body))


def completion_request_of(document: dict[str, Any]) -> GenerationRequest:
    """The request in this decoded document. Raises an `InvalidRequest` that names the parameter at fault."""
    fields = TABLE.read(document)
    check_model(fields)
    check_stream_options(fields)
    fields["logprobs"] = "top_logprobs" in fields
    fields.setdefault("max_tokens", _DEFAULT_MAX_TOKENS)
    request = GenerationRequest(surface="completions", **fields)
    _check_together(request)
    return request


def _check_together(request: GenerationRequest) -> None:
    fault: InvalidRequest | None = None
    if not request.suffix and "" in request.prompts:
        fault = InvalidValue("Invalid 'prompt': it cannot be empty.", param="prompt")
    elif request.best_of is not None and request.best_of < request.n:
        fault = InvalidValue("Invalid value for 'best_of': it cannot be less than 'n'.", param="best_of")
    elif request.stream and request.candidates > request.n:
        fault = InvalidValue(
            "Invalid value for 'best_of': results of which the best are chosen cannot be streamed.",
            param="best_of",
        )
    elif len(request.prompts) * request.candidates > MAX_ANSWERS:
        fault = InvalidValue(
            f"This request asks for {len(request.prompts) * request.candidates} completions; at most "
            f"{MAX_ANSWERS} can be made at once. Send fewer prompts, or lower 'n' or 'best_of'.",
            param="prompt",
        )
    elif request.echo and request.logprobs:
        fault = UnsupportedParameter(
            "Unsupported parameter: 'echo' together with 'logprobs' is not supported with this model: its "
            "server does not give the log probabilities of prompts.",
            param="echo",
        )
    elif request.echo and request.suffix:
        fault = InvalidValue("Setting 'echo' and 'suffix' together is not supported.", param="echo")
    if fault is not None:
        raise fault
