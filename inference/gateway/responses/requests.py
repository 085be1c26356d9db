"""A request for a response, parsed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from inference.gateway.contract import ChatMessage, GenerationRequest, Grammar
from inference.gateway.faults import (
    InvalidValue,
    PreviousResponseNotFound,
    UnknownParameter,
    UnsupportedParameter,
)
from inference.gateway.ids import parsed
from inference.gateway.policy.prompting import read_reference
from inference.gateway.requests import checks
from inference.gateway.requests.chat import check_tools
from inference.gateway.requests.parameters import (
    MAX_TOKENS,
    NOTES,
    SHARED,
    Table,
    check_model,
    flexible_tier,
    response_format,
    schema,
)
from inference.gateway.requests.tools import function_name, read_function, tools_of
from inference.gateway.responses.items import check_fields, read_input

_MIN_OUTPUT_TOKENS = 16
_MAX_TOOLS = 128
_LOGPROBS = "message.output_text.logprobs"
# Nothing here makes what this asks to be told.
_NOTHING_TO_INCLUDE = frozenset({"reasoning.encrypted_content"})


@dataclass(frozen=True)
class Asked:
    """The request, and what of it the response repeats, in OpenAI's form.

    `given` is the `input` as it came. `store` is None where nothing was said of it; `previous_id` is the
    response that this one continues.
    """

    request: GenerationRequest
    repeated: Mapping[str, Any]
    given: object
    store: bool | None
    previous_id: UUID | None

    def after(self, before: tuple[ChatMessage, ...]) -> "Asked":
        """The same after the turns that went before; the instructions stay in front."""
        messages = self.request.messages
        first = 1 if self.repeated["instructions"] else 0
        continued = (*messages[:first], *before, *messages[first:])
        return replace(self, request=replace(self.request, messages=continued))


@checks.accepting(type="array", items={"enum": [_LOGPROBS, *_NOTHING_TO_INCLUDE]})
def _include(value: object, param: str) -> bool:
    """Whether log probabilities are to be told."""
    if not isinstance(value, list):
        raise checks.wrong_type(value, param, "an array of strings")
    for place, one in enumerate(value):
        if one != _LOGPROBS and one not in _NOTHING_TO_INCLUDE:
            raise UnsupportedParameter(
                f"Unsupported value: '{param}' can name '{_LOGPROBS}' only.", param=f"{param}[{place}]"
            )
    return _LOGPROBS in value


@checks.accepting(
    type="object", properties={"format": {"type": "object", "properties": {"type": {"type": "string"}}}}
)
def _text(value: object, param: str) -> Grammar | None:
    """The format of the text, as `text.format` says."""
    wanted = checks.mapping(value, param)
    if wanted.get("verbosity") not in (None, "medium"):
        raise UnsupportedParameter(
            "Unsupported parameter: 'text.verbosity' is not supported with this model.",
            param="text.verbosity",
        )
    check_fields(wanted, frozenset({"format", "verbosity"}), param)
    if wanted.get("format") is None:
        return None
    place = f"{param}.format"
    form = checks.mapping(wanted["format"], place)
    if form.get("type") != "json_schema":
        return response_format(form, place)
    check_fields(form, frozenset({"type", "name", "description", "schema", "strict"}), place)
    function_name(form.get("name"), f"{place}.name")
    return Grammar("json", schema=schema(form.get("schema"), f"{place}.schema"))


@checks.accepting(type="array", items={"type": "object"}, maxItems=_MAX_TOOLS)
def _tools(value: object, param: str) -> tuple[Mapping[str, object], ...]:
    """Functions, in the form of chat completions."""
    if not isinstance(value, list):
        raise checks.wrong_type(value, param, "an array of objects")
    if len(value) > _MAX_TOOLS:
        raise InvalidValue(f"Invalid '{param}': at most {_MAX_TOOLS} tools are allowed.", param=param)
    return tuple(_tool(one, f"{param}[{place}]") for place, one in enumerate(value))


def _tool(value: object, param: str) -> Mapping[str, object]:
    tool = checks.mapping(value, param)
    if tool.get("type") != "function":
        raise UnsupportedParameter(
            "This model supports tools of type 'function' only.", param=f"{param}.type"
        )
    return read_function({name: given for name, given in tool.items() if name != "type"}, param)


@checks.accepting(type="string", pattern="^resp_[0-9a-f]{32}$")
def _previous(value: object, param: str) -> UUID:
    text = checks.text(value, param)
    identifier = parsed("resp_", text)
    if identifier is None:
        raise PreviousResponseNotFound(f"Previous response with id '{text[:80]}' not found.", param=param)
    return identifier


@checks.accepting(enum=[False])
def _background(value: object, param: str) -> bool:
    if checks.boolean(value, param):
        raise UnsupportedParameter(
            "Responses are not made in the background here: wait for the answer, or ask for it as a stream.",
            param=param,
        )
    return False


@checks.accepting(nullable=True)
def _conversation(_: object, param: str) -> object:
    raise UnsupportedParameter(
        "Responses belong to no conversations here: go on from one by 'previous_response_id'.", param=param
    )


@checks.accepting(type="object", properties={"include_obfuscation": {"enum": [False]}})
def _stream_options(value: object, param: str) -> bool:
    options = checks.mapping(value, param)
    for name, given in options.items():
        if name != "include_obfuscation":
            raise UnknownParameter(f"Unknown parameter: '{param}.{name[:64]}'.", param=f"{param}.{name[:64]}")
        if given:
            raise UnsupportedParameter("Obfuscation is not supported.", param=f"{param}.{name}")
    return False


TABLE = Table(
    required=("model", "input"),
    honoured={
        **{name: SHARED[name] for name in ("model", "temperature", "top_p", "stream")},
        "input": ("messages", read_input),
        "instructions": ("instructions", checks.text),
        "max_output_tokens": ("max_tokens", checks.integer(_MIN_OUTPUT_TOKENS, MAX_TOKENS)),
        "top_logprobs": ("top_logprobs", checks.integer(0, 20)),
        "include": ("logprobs", _include),
        "text": ("grammar", _text),
        "tools": ("tools", _tools),
        "store": ("store", checks.boolean),
        "previous_response_id": ("previous_id", _previous),
        "prompt": ("prompt", read_reference),
        "service_tier": ("flexible", flexible_tier),
    },
    harmless={
        **NOTES,
        # Of tools that OpenAI runs by itself; there are none here.
        "max_tool_calls": checks.integer(1, MAX_TOKENS),
        "stream_options": _stream_options,
        "background": _background,
        "conversation": _conversation,
        # Read together with the tools.
        "tool_choice": lambda value, _: value,
        "parallel_tool_calls": checks.boolean,
    },
    neutral={
        "truncation": lambda value: value == "disabled",
        "reasoning": lambda value: isinstance(value, dict) and _asks_no_reasoning(value),
        "prompt_cache_retention": lambda value: value == "in_memory",
        "context_management": lambda _: False,
        "moderation": lambda _: False,
        "prompt_cache_options": lambda _: False,
    },
)


# The messages of a prompt template may be enough.
_WITH_PROMPT = replace(TABLE, required=("model",))


def _asks_no_reasoning(reasoning: Mapping[str, object]) -> bool:
    given = {name: value for name, value in reasoning.items() if value is not None}
    return given in ({}, {"effort": "none"})


def response_request_of(document: dict[str, Any]) -> Asked:
    """The request in this decoded document. Raises an `InvalidRequest` that names the parameter at fault."""
    fields = (TABLE if document.get("prompt") is None else _WITH_PROMPT).read(document)
    check_model(fields)
    if fields.get("top_logprobs") and not fields.get("logprobs"):
        raise InvalidValue(
            f"The 'top_logprobs' parameter is only allowed when 'include' names '{_LOGPROBS}'.",
            param="top_logprobs",
        )
    instructions = fields.pop("instructions", None)
    if instructions:
        fields["messages"] = (ChatMessage("system", instructions), *fields.get("messages", ()))
    definitions = fields.get("tools", ())
    fields["tools"] = tools_of(document | {"tool_choice": _chat_choice(document)}, definitions)
    check_tools(fields, constrained_by="text.format")
    store, previous_id = fields.pop("store", None), fields.pop("previous_id", None)
    request = GenerationRequest(surface="responses", **fields)
    repeated = _repeated(document, request, definitions)
    return Asked(request, repeated, document.get("input") or [], store, previous_id)


def _chat_choice(document: Mapping[str, Any]) -> object:
    """`tool_choice` as chat completions word it, which nests a function's name."""
    choice = document.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "function":
        return {"type": "function", "function": {"name": choice.get("name")}}
    return choice


def _repeated(
    document: Mapping[str, Any], request: GenerationRequest, definitions: tuple[Mapping[str, object], ...]
) -> dict[str, Any]:
    form = (document.get("text") or {}).get("format") or {"type": "text"}
    parallel = document.get("parallel_tool_calls")
    optional = ("user", "safety_identifier", "prompt_cache_key", "max_tool_calls", "prompt")
    return {
        "instructions": document.get("instructions"),
        "max_output_tokens": request.max_tokens,
        "metadata": document.get("metadata") or {},
        "model": request.model,
        "parallel_tool_calls": True if parallel is None else parallel,
        "previous_response_id": document.get("previous_response_id"),
        "reasoning": {"effort": None, "summary": None},
        "background": False,
        "service_tier": "flex" if request.flexible else "default",
        "temperature": request.temperature,
        "text": {"format": form},
        "tool_choice": document.get("tool_choice") or "auto",
        "tools": [_repeated_tool(one) for one in definitions],
        "top_logprobs": request.top_logprobs,
        "top_p": request.top_p,
        "truncation": "disabled",
        **{name: document[name] for name in optional if document.get(name) is not None},
    }


def _repeated_tool(definition: Mapping[str, object]) -> dict[str, object]:
    function = definition["function"]
    assert isinstance(function, Mapping)
    return {"type": "function", "parameters": None, "strict": False, **function}
