"""What the parameters of a request may be. Each is honoured, or neutral, or refused; none is dropped."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from inference.gateway.contract import Grammar
from inference.gateway.faults import (
    InvalidJson,
    InvalidType,
    InvalidValue,
    MissingParameter,
    UnknownParameter,
    UnsupportedParameter,
)
from inference.gateway.requests import checks
from inference.gateway.requests.checks import Read

MAX_TOKENS = 2**31 - 1
MAX_ANSWERS = 128
MAX_STOPS = 4
_MAX_SCHEMA_DEPTH = 32
_MAX_PATTERN_CHARACTERS = 4096
_MAX_BIASES = 1024


@dataclass(frozen=True, kw_only=True)
class Table:
    """The parameters of one call.

    `honoured` maps those that change the answer to the request's field that each becomes; `harmless` do not
    change it and are checked; `neutral` are accepted only at values that ask for nothing. Null is absence.
    """

    required: tuple[str, ...]
    honoured: Mapping[str, tuple[str, Read]]
    harmless: Mapping[str, Read] = field(default_factory=dict)
    neutral: Mapping[str, Callable[[Any], bool]] = field(default_factory=dict)

    def read(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The request's fields. Raises an `InvalidRequest` that names the parameter at fault."""
        for required in self.required:
            if document.get(required) is None:
                raise MissingParameter(f"Missing required parameter: '{required}'.", param=required)
        fields: dict[str, Any] = {}
        given: list[str] = []
        for name, value in document.items():
            honoured = self.honoured.get(name)
            if honoured is None:
                self._check_unused(name, value)
            elif value is not None:
                fields[honoured[0]] = honoured[1](value, name)
                given.append(name)
        fields["given"] = frozenset(given)
        return fields

    def _check_unused(self, name: str, value: object) -> None:
        if name in self.harmless:
            if value is not None:
                self.harmless[name](value, name)
            return
        asks_nothing = self.neutral.get(name)
        if asks_nothing is None:
            raise UnknownParameter(f"Unknown parameter: '{name[:64]}'.", param=name[:64])
        if value is not None and not asks_nothing(value):
            raise UnsupportedParameter(
                f"Unsupported parameter: '{name}' is not supported with this model.", param=name
            )


def document_of(body: bytes) -> dict[str, Any]:
    """The JSON object of a body. Raises `InvalidJson`, `InvalidType`."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidJson(
            "We could not parse the JSON body of your request. The request body should be a JSON object: "
            f"{error.msg} at line {error.lineno}, column {error.colno}."
        ) from None
    if not isinstance(document, dict):
        raise InvalidType("Invalid type: the request body should be a JSON object.")
    return document


@checks.accepting(
    anyOf=[{"type": "string"}, {"type": "array", "items": {"type": "string"}, "maxItems": MAX_STOPS}]
)
def stop_sequences(value: object, param: str) -> tuple[str, ...]:
    """A string or up to four of them, none of them empty."""
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list):
        raise checks.wrong_type(value, param, "a string or an array of strings")
    if len(found) > MAX_STOPS:
        raise InvalidValue(
            f"Invalid '{param}': array too long. Expected at most {MAX_STOPS} items.", param=param
        )
    stops = tuple(str(checks.short_text(256)(one, param)) for one in found)
    if "" in stops:
        raise InvalidValue(f"Invalid '{param}': a stop sequence cannot be empty.", param=param)
    return stops


@checks.accepting(type="object", properties={"include_usage": {"type": "boolean"}})
def stream_options(value: object, param: str) -> bool:
    """Whether a stream is to tell the usage."""
    options = checks.mapping(value, param)
    for name, given in options.items():
        if name not in {"include_usage", "include_obfuscation"}:
            raise UnknownParameter(f"Unknown parameter: '{param}.{name[:64]}'.", param=f"{param}.{name[:64]}")
        if given is not None:
            checks.boolean(given, f"{param}.{name}")
    if options.get("include_obfuscation"):
        raise UnsupportedParameter("Obfuscation is not supported.", param=f"{param}.include_obfuscation")
    return options.get("include_usage") is True


# The forms of `response_format`, and where each says what it wants.
_FORMATS = {
    "text": "type",
    "json_object": "value",
    "json_schema": "json_schema",
    "json": "value",
    "regex": "value",
}


@checks.accepting(
    type="object",
    properties={"type": {"enum": list(_FORMATS)}},
    required=["type"],
)
def response_format(value: object, param: str) -> Grammar | None:
    """OpenAI's forms, and TGI's: `json`, `json_object` and `regex` with a `value`."""
    wanted = checks.mapping(value, param)
    kind = wanted.get("type")
    if not isinstance(kind, str) or kind not in _FORMATS:
        supported = ", ".join(f"'{name}'" for name in _FORMATS)
        raise InvalidValue(
            f"Invalid value for '{param}.type'. Supported values are: {supported}.", param=f"{param}.type"
        )
    checks.only(wanted, ("type", _FORMATS[kind]), f"{param}.")
    given, place = wanted.get(_FORMATS[kind]), f"{param}.{_FORMATS[kind]}"
    if kind == "text":
        return None
    if kind == "regex":
        return Grammar("regex", pattern=pattern(given, place))
    if kind == "json_schema":
        given, place = checks.mapping(given, place).get("schema"), f"{place}.schema"
    elif kind == "json_object" and given is None:
        return Grammar("json_object")
    return Grammar("json", schema=schema(given, place))


def schema(value: object, param: str) -> dict[str, object]:
    """A JSON Schema that is not nested beyond reason."""
    found = checks.mapping(value, param)
    if nests_too_deeply(found):
        raise InvalidValue(f"Invalid '{param}': nested too deeply.", param=param)
    return found


def pattern(value: object, param: str) -> str:
    """A regular expression; whether it is one, the model server says."""
    found = str(checks.short_text(_MAX_PATTERN_CHARACTERS)(value, param))
    if not found:
        raise InvalidValue(f"Invalid '{param}': it cannot be empty.", param=param)
    return found


def nests_too_deeply(value: object) -> bool:
    """Whether containers nest beyond reason; found by levels, so that no document exhausts the stack."""
    depth, level = 0, [value]
    while level and depth <= _MAX_SCHEMA_DEPTH:
        depth += 1
        level = [
            child
            for one in level
            if isinstance(one, dict | list)
            for child in (one.values() if isinstance(one, dict) else one)
        ]
    return depth > _MAX_SCHEMA_DEPTH


@checks.accepting(type="object", additionalProperties={"type": "number", "minimum": -100, "maximum": 100})
def logit_bias(value: object, param: str) -> dict[int, float] | None:
    """Token ids and what is added to their logits; None where there are none."""
    given = checks.mapping(value, param)
    if len(given) > _MAX_BIASES:
        raise InvalidValue(f"Invalid '{param}': at most {_MAX_BIASES} tokens are allowed.", param=param)
    biases: dict[int, float] = {}
    for name, bias in given.items():
        if not (name.isascii() and name.isdigit() and len(name) <= 10):
            raise InvalidValue(
                f"Invalid key in '{param}': '{name[:64]}'. Keys are the ids of tokens.", param=param
            )
        read = checks.number(-100, 100)(bias, f"{param}.{name}")
        biases[int(name)] = float(str(read))
    return biases or None


_TIERS = ("auto", "default", "flex")


@checks.accepting(enum=list(_TIERS))
def flexible_tier(value: object, param: str) -> bool:
    """Whether the service tier lets all others go before: `flex` does; what costs more is refused."""
    if value not in _TIERS:
        raise UnsupportedParameter(
            f"Unsupported value for '{param}'. Supported values are: 'auto', 'default', 'flex'.",
            param=param,
        )
    return value == "flex"


def check_model(fields: Mapping[str, Any]) -> None:
    """Raise `InvalidValue` for an empty model name."""
    if not fields["model"]:
        raise InvalidValue("Invalid 'model': it cannot be empty.", param="model")


def check_stream_options(fields: Mapping[str, Any]) -> None:
    """Raise `InvalidValue` for options of a stream that is none."""
    if "include_usage" in fields and not fields.get("stream"):
        raise InvalidValue(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )


# What chat completions and completions of text have in common.
SHARED: Mapping[str, tuple[str, Read]] = {
    "model": ("model", checks.short_text(256)),
    "n": ("n", checks.integer(1, MAX_ANSWERS)),
    "max_tokens": ("max_tokens", checks.integer(1, MAX_TOKENS)),
    "temperature": ("temperature", checks.number(0, 2)),
    "top_p": ("top_p", checks.number(0, 1)),
    "frequency_penalty": ("frequency_penalty", checks.number(-2, 2)),
    "presence_penalty": ("presence_penalty", checks.number(-2, 2)),
    "logit_bias": ("logit_bias", logit_bias),
    "seed": ("seed", checks.integer(-(2**63), 2**63 - 1)),
    "stop": ("stop", stop_sequences),
    "stream": ("stream", checks.boolean),
    "stream_options": ("include_usage", stream_options),
}

# What a caller notes of a request, which changes no answer.
NOTES: Mapping[str, Read] = {
    "metadata": checks.metadata,
    "user": checks.short_text(512),
    "safety_identifier": checks.short_text(64),
    "prompt_cache_key": checks.short_text(512),
}
