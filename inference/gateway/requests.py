"""A chat completion request, parsed. Every parameter is honoured, or neutral, or refused; none is dropped."""

from collections.abc import Callable
from typing import Any

import orjson

from inference.gateway import checks
from inference.gateway.checks import Read
from inference.gateway.contract import ChatRequest, Grammar
from inference.gateway.faults import (
    InvalidJson,
    InvalidRequest,
    InvalidType,
    InvalidValue,
    MissingParameter,
    UnknownParameter,
    UnsupportedParameter,
)
from inference.gateway.messages import read_messages

_MAX_SCHEMA_DEPTH = 32
_MAX_TOKENS = 2**31 - 1


def _stop(value: object, param: str) -> tuple[str, ...]:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list):
        raise checks.wrong_type(value, param, "a string or an array of strings")
    if len(found) > 4:
        raise InvalidValue(f"Invalid '{param}': array too long. Expected at most 4 items.", param=param)
    stops = tuple(str(checks.short_text(256)(one, param)) for one in found)
    if "" in stops:
        raise InvalidValue(f"Invalid '{param}': a stop sequence cannot be empty.", param=param)
    return stops


def _stream_options(value: object, param: str) -> bool:
    options = checks.mapping(value, param)
    for name, given in options.items():
        if name not in {"include_usage", "include_obfuscation"}:
            raise UnknownParameter(f"Unknown parameter: '{param}.{name[:64]}'.", param=f"{param}.{name[:64]}")
        if given is not None:
            checks.boolean(given, f"{param}.{name}")
    if options.get("include_obfuscation"):
        raise UnsupportedParameter("Obfuscation is not supported.", param=f"{param}.include_obfuscation")
    return options.get("include_usage") is True


def _response_format(value: object, param: str) -> Grammar | None:
    wanted = checks.mapping(value, param)
    kind = wanted.get("type")
    if kind == "text":
        return None
    if kind == "json_object":
        return Grammar("json", {"type": "object"})
    if kind != "json_schema":
        raise InvalidValue(
            f"Invalid value for '{param}.type'. Supported values are: 'text', 'json_object', 'json_schema'.",
            param=f"{param}.type",
        )
    place = f"{param}.json_schema"
    schema = checks.mapping(checks.mapping(wanted.get("json_schema"), place).get("schema"), f"{place}.schema")
    if _depth(schema) > _MAX_SCHEMA_DEPTH:
        raise InvalidValue(f"Invalid '{place}.schema': nested too deeply.", param=f"{place}.schema")
    return Grammar("json", schema)


def _depth(value: object) -> int:
    """How deeply containers nest, by levels, so that a deep document cannot exhaust the stack."""
    depth, level = 0, [value]
    while level and depth <= _MAX_SCHEMA_DEPTH:
        depth += 1
        level = [
            child
            for one in level
            if isinstance(one, dict | list)
            for child in (one.values() if isinstance(one, dict) else one)
        ]
    return depth


_tokens = checks.integer(1, _MAX_TOKENS)

# Parameters that change the answer, with the field of ChatRequest that each becomes.
_HONOURED: dict[str, tuple[str, Read]] = {
    "model": ("model", checks.short_text(256)),
    "messages": ("messages", read_messages),
    "max_tokens": ("max_tokens", _tokens),
    "max_completion_tokens": ("max_tokens", _tokens),
    "temperature": ("temperature", checks.number(0, 2)),
    "top_p": ("top_p", checks.number(0, 1)),
    "frequency_penalty": ("frequency_penalty", checks.number(-2, 2)),
    "seed": ("seed", checks.integer(-(2**63), 2**63 - 1)),
    "stop": ("stop", _stop),
    "stream": ("stream", checks.boolean),
    "stream_options": ("include_usage", _stream_options),
    "logprobs": ("logprobs", checks.boolean),
    "top_logprobs": ("top_logprobs", checks.integer(0, 20)),
    "response_format": ("grammar", _response_format),
}

# Parameters that do not change the answer; they are checked and otherwise ignored.
_HARMLESS: dict[str, Read] = {
    "metadata": checks.metadata,
    "user": checks.short_text(512),
    "safety_identifier": checks.short_text(64),
    "prompt_cache_key": checks.short_text(512),
}

# Parameters that this platform cannot honour: accepted only at values that ask for nothing.
_NEUTRAL: dict[str, Callable[[Any], bool]] = {
    "n": lambda value: value == 1,
    "presence_penalty": lambda value: value == 0,
    "store": lambda value: value is False,
    "logit_bias": lambda value: value == {},
    "tools": lambda value: value == [],
    "tool_choice": lambda value: value in ("none", "auto"),
    "parallel_tool_calls": lambda value: isinstance(value, bool),
    "functions": lambda value: value == [],
    "function_call": lambda value: value in ("none", "auto"),
    "service_tier": lambda value: value in ("auto", "default"),
    "modalities": lambda value: value == ["text"],
    "verbosity": lambda value: value == "medium",
    "reasoning_effort": lambda value: value == "none",
    "prompt_cache_retention": lambda value: value == "in_memory",
    "audio": lambda _: False,
    "moderation": lambda _: False,
    "prediction": lambda _: False,
    "prompt_cache_options": lambda _: False,
    "web_search_options": lambda _: False,
}
_NUMERIC: dict[str, Read] = {"n": checks.integer(1, 128), "presence_penalty": checks.number(-2, 2)}


def parse_chat_request(body: bytes) -> ChatRequest:
    """The request in this JSON document. Raises an `InvalidRequest` that names the parameter at fault."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidJson(
            "We could not parse the JSON body of your request. The request body should be a JSON object: "
            f"{error.msg} at line {error.lineno}, column {error.colno}."
        ) from None
    if not isinstance(document, dict):
        raise InvalidType("Invalid type: the request body should be a JSON object.")
    return chat_request_of(document)


def chat_request_of(document: dict[str, Any]) -> ChatRequest:
    """The request in this decoded document. Raises an `InvalidRequest` that names the parameter at fault."""
    for required in ("model", "messages"):
        if document.get(required) is None:
            raise MissingParameter(f"Missing required parameter: '{required}'.", param=required)
    fields: dict[str, Any] = {}
    for name, value in document.items():
        honoured = _HONOURED.get(name)
        if honoured is None:
            _check_unused(name, value)
        elif value is not None:
            field, read = honoured
            fields[field] = read(value, name)
    _check_together(document, fields)
    return ChatRequest(**fields)


def _check_unused(name: str, value: object) -> None:
    if name in _HARMLESS:
        if value is not None:
            _HARMLESS[name](value, name)
        return
    asks_nothing = _NEUTRAL.get(name)
    if asks_nothing is None:
        raise UnknownParameter(f"Unknown parameter: '{name[:64]}'.", param=name[:64])
    if value is None:
        return
    if name in _NUMERIC:
        _NUMERIC[name](value, name)
    if not asks_nothing(value):
        raise UnsupportedParameter(
            f"Unsupported parameter: '{name}' is not supported with this model.", param=name
        )


def _check_together(document: dict[str, Any], fields: dict[str, Any]) -> None:
    fault: InvalidRequest | None = None
    if document.get("max_tokens") is not None and document.get("max_completion_tokens") is not None:
        fault = InvalidValue(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            param="max_tokens",
        )
    elif "include_usage" in fields and not fields.get("stream"):
        fault = InvalidValue(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )
    elif fields.get("top_logprobs") and not fields.get("logprobs"):
        fault = InvalidValue(
            "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.", param="top_logprobs"
        )
    elif not fields["model"]:
        fault = InvalidValue("Invalid 'model': it cannot be empty.", param="model")
    if fault is not None:
        raise fault
