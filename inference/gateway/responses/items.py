"""The `input` of a response: a text, or items that become the messages of a conversation."""

from collections.abc import Mapping
from dataclasses import replace

import orjson

from inference.gateway.contract import ChatMessage, Role, ToolCall
from inference.gateway.faults import InvalidValue, MissingParameter, UnsupportedParameter
from inference.gateway.requests import checks
from inference.gateway.requests.parameters import nests_too_deeply
from inference.gateway.requests.tools import function_name

_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
_MAX_ITEMS = 4096
_TEXTS = frozenset({"input_text", "output_text"})
_MESSAGE = frozenset({"type", "role", "content", "id", "status", "phase"})
_TEXT = frozenset({"type", "text", "annotations", "logprobs"})
_CALL = frozenset({"type", "call_id", "name", "arguments", "id", "status"})
_OUTPUT = frozenset({"type", "call_id", "output", "id", "status", "name"})


@checks.accepting(anyOf=[{"type": "string"}, {"type": "array", "items": {"type": "object"}, "minItems": 1}])
def read_input(value: object, param: str) -> tuple[ChatMessage, ...]:
    """The messages. Raises an `InvalidRequest` that names the item at fault."""
    if isinstance(value, str):
        return (ChatMessage("user", checks.text(value, param)),)
    if not isinstance(value, list):
        raise checks.wrong_type(value, param, "a string or an array of objects")
    if not value:
        raise InvalidValue(f"Invalid '{param}': empty array. Expected at least one item.", param=param)
    if len(value) > _MAX_ITEMS:
        raise InvalidValue(f"Invalid '{param}': at most {_MAX_ITEMS} items are allowed.", param=param)
    messages: list[ChatMessage] = []
    for place, one in enumerate(value):
        message = _message_of(one, f"{param}[{place}]")
        if message.tool_calls and messages and messages[-1].role == "assistant":
            # What the model said and called in one turn arrives as items side by side.
            calls = messages[-1].tool_calls + message.tool_calls
            messages[-1] = replace(messages[-1], tool_calls=calls)
        else:
            messages.append(message)
    return tuple(messages)


def _message_of(value: object, param: str) -> ChatMessage:
    item = checks.mapping(value, param)
    kind = item.get("type")
    if kind is None or kind == "message":
        return _message(item, param)
    if kind == "function_call":
        return _function_call(item, param)
    if kind == "function_call_output":
        return _function_output(item, param)
    if kind == "item_reference":
        raise UnsupportedParameter(
            "An item cannot be referred to: send the item itself, or continue its response by "
            "'previous_response_id'.",
            param=f"{param}.type",
        )
    raise UnsupportedParameter(
        "This model reads items of type 'message', 'function_call' and 'function_call_output' only.",
        param=f"{param}.type",
    )


def _message(item: dict[str, object], param: str) -> ChatMessage:
    check_fields(item, _MESSAGE, param)
    role = checks.text(_required(item, "role", param), f"{param}.role")
    if role not in _ROLES:
        supported = ", ".join(f"'{name}'" for name in _ROLES)
        raise InvalidValue(
            f"Invalid value: '{role[:64]}'. Supported values are: {supported}.", param=f"{param}.role"
        )
    return ChatMessage(_ROLES[role], _text_of(_required(item, "content", param), f"{param}.content"))


def _text_of(value: object, param: str) -> str:
    """A text, or the texts of the parts one after the other."""
    if isinstance(value, str):
        return checks.text(value, param)
    if not isinstance(value, list):
        raise checks.wrong_type(value, param, "a string or an array of objects")
    return "".join(_part(one, f"{param}[{place}]") for place, one in enumerate(value))


def _part(value: object, param: str) -> str:
    part = checks.mapping(value, param)
    if part.get("type") not in _TEXTS:
        raise UnsupportedParameter(
            "This model supports text only: parts of type 'input_text' and 'output_text'.",
            param=f"{param}.type",
        )
    check_fields(part, _TEXT, param)
    return checks.text(_required(part, "text", param), f"{param}.text")


def _function_call(item: dict[str, object], param: str) -> ChatMessage:
    check_fields(item, _CALL, param)
    call_id = checks.text(_required(item, "call_id", param), f"{param}.call_id")
    name = function_name(item.get("name"), f"{param}.name")
    arguments = checks.text(_required(item, "arguments", param), f"{param}.arguments")
    try:
        called_with = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        called_with = None
    if not isinstance(called_with, dict) or nests_too_deeply(called_with):
        raise InvalidValue(
            f"Invalid '{param}.arguments': expected the text of a JSON object.", param=f"{param}.arguments"
        )
    return ChatMessage("assistant", "", None, (ToolCall(call_id, name, arguments),))


def _function_output(item: dict[str, object], param: str) -> ChatMessage:
    check_fields(item, _OUTPUT, param)
    call_id = checks.text(_required(item, "call_id", param), f"{param}.call_id")
    output = _text_of(_required(item, "output", param), f"{param}.output")
    return ChatMessage("tool", output, tool_call_id=call_id)


def _required(item: Mapping[str, object], name: str, param: str) -> object:
    if item.get(name) is None:
        raise MissingParameter(f"Missing required parameter: '{param}.{name}'.", param=f"{param}.{name}")
    return item[name]


def check_fields(item: Mapping[str, object], known: frozenset[str], param: str) -> None:
    """Raise `UnknownParameter` for a field that is not among the known ones; null is absence."""
    checks.only((name for name, given in item.items() if given is not None), known, f"{param}.")
