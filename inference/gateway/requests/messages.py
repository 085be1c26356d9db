"""The `messages` of a chat completion request."""

import orjson

from inference.gateway.contract import ChatMessage, Role, ToolCall
from inference.gateway.faults import InvalidValue, MissingParameter, UnknownParameter, UnsupportedParameter
from inference.gateway.requests.checks import accepting, mapping, only, short_text, text, wrong_type
from inference.gateway.requests.parameters import nests_too_deeply

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
_FOREIGN_ROLES = {"function"}
_FIELDS = {"role", "content", "name", "tool_calls", "tool_call_id", "annotations"}
_UNSUPPORTED_FIELDS = {
    "function_call",
    "audio",
    "refusal",
    "prompt_cache",
}
_UNSUPPORTED_PARTS = {"image_url", "input_audio", "file", "refusal"}
_MAX_MESSAGES = 4096


@accepting(
    type="array",
    minItems=1,
    items={
        "type": "object",
        "properties": {
            "role": {"enum": ["system", "developer", "user", "assistant", "tool"]},
            "content": {"type": "string"},
        },
        "required": ["role"],
    },
)
def read_messages(value: object, param: str) -> tuple[ChatMessage, ...]:
    """Parse and check every message. Raises `InvalidRequest` naming the one at fault."""
    if not isinstance(value, list):
        raise wrong_type(value, param, "an array of objects")
    if not value:
        raise InvalidValue(f"Invalid '{param}': empty array. Expected at least one message.", param=param)
    if len(value) > _MAX_MESSAGES:
        raise InvalidValue(f"Invalid '{param}': at most {_MAX_MESSAGES} messages are allowed.", param=param)
    return tuple(_message(one, f"{param}[{place}]") for place, one in enumerate(value))


def _message(value: object, param: str) -> ChatMessage:
    fields = mapping(value, param)
    if fields.keys() - {"role", "content"}:
        _refuse_fields(fields, param)
    role = fields.get("role")
    if role is None:
        raise MissingParameter(f"Missing required parameter: '{param}.role'.", param=f"{param}.role")
    if not isinstance(role, str):
        raise wrong_type(role, f"{param}.role", "a string")
    known = _ROLES.get(role)
    if known is None:
        raise _foreign_role(role, f"{param}.role")
    calls = _tool_calls(fields.get("tool_calls"), f"{param}.tool_calls")
    if calls and known != "assistant":
        raise InvalidValue(
            f"Invalid '{param}.tool_calls': only an assistant's message has them.",
            param=f"{param}.tool_calls",
        )
    if fields.get("content") is None and not calls:
        raise MissingParameter(f"Missing required parameter: '{param}.content'.", param=f"{param}.content")
    content = "" if fields.get("content") is None else _content(fields["content"], f"{param}.content")
    name = _short(fields.get("name"), f"{param}.name")
    return ChatMessage(
        known, content, name, calls, _short(fields.get("tool_call_id"), f"{param}.tool_call_id")
    )


def _short(value: object, param: str) -> str | None:
    return str(short_text(64)(value, param)) if value is not None else None


def _tool_calls(value: object, param: str) -> tuple[ToolCall, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise wrong_type(value, param, "an array of objects")
    return tuple(_tool_call(one, f"{param}[{place}]") for place, one in enumerate(value))


def _tool_call(value: object, param: str) -> ToolCall:
    fields = mapping(value, param)
    if fields.get("type") != "function":
        raise UnsupportedParameter("This model supports calls of functions only.", param=f"{param}.type")
    function = mapping(fields.get("function"), f"{param}.function")
    place = f"{param}.function.arguments"
    arguments = text(function.get("arguments"), place)
    try:
        called_with = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        called_with = None
    if not isinstance(called_with, dict) or nests_too_deeply(called_with):
        raise InvalidValue(f"Invalid '{place}': expected the text of a JSON object.", param=place)
    ident = text(fields.get("id"), f"{param}.id")
    return ToolCall(ident, text(function.get("name"), f"{param}.function.name"), arguments)


def _foreign_role(role: str, param: str) -> InvalidValue | UnsupportedParameter:
    if role in _FOREIGN_ROLES:
        return UnsupportedParameter("This model does not support messages of tools.", param=param)
    supported = ", ".join(f"'{name}'" for name in _ROLES)
    return InvalidValue(f"Invalid value: '{role[:64]}'. Supported values are: {supported}.", param=param)


def _refuse_fields(fields: dict[str, object], param: str) -> None:
    for name, value in fields.items():
        if name in _UNSUPPORTED_FIELDS:
            if value is not None and value != []:
                raise UnsupportedParameter(
                    f"This model does not support '{name}' in a message.", param=f"{param}.{name}"
                )
        elif name not in _FIELDS:
            raise UnknownParameter(f"Unknown parameter: '{param}.{name[:64]}'.", param=f"{param}.{name[:64]}")


def _content(value: object, param: str) -> str:
    if isinstance(value, str):
        return text(value, param)
    if not isinstance(value, list):
        raise wrong_type(value, param, "one of a string or array of objects")
    if not value:
        raise InvalidValue(f"Invalid '{param}': empty array. Expected at least one part.", param=param)
    return "".join(_part(one, f"{param}[{place}]") for place, one in enumerate(value))


def _part(value: object, param: str) -> str:
    fields = mapping(value, param)
    kind = fields.get("type")
    if isinstance(kind, str) and kind in _UNSUPPORTED_PARTS:
        raise UnsupportedParameter(
            f"Invalid content type. This model supports text only, not '{kind}'.", param=f"{param}.type"
        )
    if kind != "text":
        raise InvalidValue(
            "Invalid value for a content part. Supported values are: 'text'.", param=f"{param}.type"
        )
    only(fields, ("type", "text"), f"{param}.")
    return text(fields.get("text"), f"{param}.text")
