"""A chat completion request, parsed."""

from dataclasses import replace
from typing import Any

from inference.gateway.contract import GenerationRequest, Tools
from inference.gateway.faults import InvalidValue, UnsupportedParameter
from inference.gateway.policy.prompting import read_reference
from inference.gateway.requests import checks
from inference.gateway.requests.messages import read_messages
from inference.gateway.requests.parameters import (
    MAX_STOPS,
    MAX_TOKENS,
    NOTES,
    SHARED,
    Table,
    check_model,
    check_stream_options,
    document_of,
    flexible_tier,
    response_format,
)
from inference.gateway.requests.tools import read_definitions, tools_of

TABLE = Table(
    required=("model", "messages"),
    honoured={
        **SHARED,
        "messages": ("messages", read_messages),
        "max_completion_tokens": ("max_tokens", checks.integer(1, MAX_TOKENS)),
        "logprobs": ("logprobs", checks.boolean),
        "top_logprobs": ("top_logprobs", checks.integer(0, 20)),
        "response_format": ("grammar", response_format),
        # No parameter of OpenAI's, but of TGI's clients and of most model servers.
        "repetition_penalty": ("repetition_penalty", checks.above_zero(100)),
        "tools": ("tools", read_definitions),
        "prompt": ("prompt", read_reference),
        "service_tier": ("flexible", flexible_tier),
    },
    harmless={
        **NOTES,
        # Read together with the tools.
        "tool_choice": lambda value, _: value,
        "parallel_tool_calls": checks.boolean,
    },
    neutral={
        "store": lambda value: value is False,
        "functions": lambda value: value == [],
        "function_call": lambda value: value in ("none", "auto"),
        "modalities": lambda value: value == ["text"],
        "verbosity": lambda value: value == "medium",
        "reasoning_effort": lambda value: value == "none",
        "prompt_cache_retention": lambda value: value == "in_memory",
        "audio": lambda _: False,
        "moderation": lambda _: False,
        "prediction": lambda _: False,
        "prompt_cache_options": lambda _: False,
        "web_search_options": lambda _: False,
    },
)


# The messages of a prompt template may be enough.
_WITH_PROMPT = replace(TABLE, required=("model",))


def check_tools(fields: dict[str, Any], *, constrained_by: str = "response_format") -> None:
    """Raise an `InvalidRequest` for what cannot be asked for together with tools.

    `constrained_by` is the parameter that wishes for a grammar.
    """
    tools: Tools | None = fields["tools"]
    if tools is None:
        return
    if fields.get("grammar") is not None:
        raise InvalidValue(
            f"Setting 'tools' and '{constrained_by}' together is not supported.", param=constrained_by
        )
    if fields.get("logprobs"):
        raise UnsupportedParameter(
            "Unsupported parameter: 'logprobs' is not supported together with 'tools'.", param="logprobs"
        )
    if not tools.parallel and len(fields.get("stop", ())) == MAX_STOPS:
        raise InvalidValue(
            f"Invalid 'stop': at most {MAX_STOPS - 1} items where a single tool call is wanted.", param="stop"
        )


def parse_chat_request(body: bytes) -> GenerationRequest:
    """The request in this JSON document. Raises an `InvalidRequest` that names the parameter at fault."""
    return chat_request_of(document_of(body))


def chat_request_of(document: dict[str, Any]) -> GenerationRequest:
    """The request in this decoded document. Raises an `InvalidRequest` that names the parameter at fault."""
    if document.get("prompt") is not None and document.get("messages") == []:
        # OpenAI's client cannot leave them out.
        document = {name: value for name, value in document.items() if name != "messages"}
    fields = (TABLE if document.get("prompt") is None else _WITH_PROMPT).read(document)
    if document.get("max_tokens") is not None and document.get("max_completion_tokens") is not None:
        raise InvalidValue(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            param="max_tokens",
        )
    check_stream_options(fields)
    if fields.get("top_logprobs") and not fields.get("logprobs"):
        raise InvalidValue(
            "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.", param="top_logprobs"
        )
    check_model(fields)
    fields["tools"] = tools_of(document, fields.get("tools", ()))
    check_tools(fields)
    return GenerationRequest(**fields)
