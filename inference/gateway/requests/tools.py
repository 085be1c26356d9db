"""Functions that a model may call: what callers say of them, and calls read from what the model writes.

A model whose deployment has the feature `tools` writes a call as `<tool_call>{"name": …, "arguments": {…}}
</tool_call>`, as the chat templates of Hermes and Qwen teach it.
"""

import re
import secrets
from collections.abc import Mapping
from typing import Any

import orjson

from inference.gateway.contract import ToolCall, Tools
from inference.gateway.faults import InvalidValue, MissingParameter, UnsupportedParameter
from inference.gateway.requests import checks
from inference.gateway.requests.parameters import schema
from inference.gateway.requests.strict_schemas import check_strict, fits

OPEN, CLOSE = "<tool_call>", "</tool_call>"
MARKERS = frozenset({OPEN, CLOSE})
_MAX_TOOLS = 128
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@checks.accepting(type="array", items={"type": "object"})
def read_definitions(value: object, param: str) -> tuple[Mapping[str, object], ...]:
    """OpenAI's `tools`, functions only. Raises an `InvalidRequest` that names the part at fault."""
    if not isinstance(value, list):
        raise checks.wrong_type(value, param, "an array of objects")
    if len(value) > _MAX_TOOLS:
        raise InvalidValue(f"Invalid '{param}': at most {_MAX_TOOLS} tools are allowed.", param=param)
    return tuple(_definition(one, f"{param}[{place}]") for place, one in enumerate(value))


def _definition(value: object, param: str) -> Mapping[str, object]:
    tool = checks.mapping(value, param)
    if tool.get("type") != "function":
        raise UnsupportedParameter(
            "This model supports tools of type 'function' only.", param=f"{param}.type"
        )
    place = f"{param}.function"
    return read_function(checks.mapping(tool.get("function"), place), place)


def read_function(function: Mapping[str, object], place: str) -> Mapping[str, object]:
    """The tool as chat completions word it. Raises an `InvalidRequest` that names the part at fault."""
    checks.only(function, ("name", "description", "parameters", "strict"), f"{place}.")
    function_name(function.get("name"), f"{place}.name")
    if function.get("description") is not None:
        checks.text(function["description"], f"{place}.description")
    if function.get("parameters") is not None:
        schema(function["parameters"], f"{place}.parameters")
    kept = {name: given for name, given in function.items() if given is not None}
    if not checks.boolean(kept.pop("strict", False), f"{place}.strict"):
        return {"type": "function", "function": kept}
    check_strict(kept.get("parameters", {}), f"{place}.parameters")
    kept["strict"] = True
    return {"type": "function", "function": kept}


def function_name(value: object, param: str) -> str:
    """A name that functions may have. Raises an `InvalidRequest`."""
    if value is None:
        raise MissingParameter(f"Missing required parameter: '{param}'.", param=param)
    name = checks.text(value, param)
    if not _NAME.fullmatch(name):
        raise InvalidValue(
            f"Invalid '{param}': expected 1 to 64 letters, digits, underscores and dashes.", param=param
        )
    return name


def tools_of(document: Mapping[str, Any], definitions: tuple[Mapping[str, object], ...]) -> Tools | None:
    """What the request wants of its tools; None where it has none, or wants none used.

    Raises an `InvalidRequest`.
    """
    choice = document.get("tool_choice")
    parallel = document.get("parallel_tool_calls")
    if parallel is not None:
        checks.boolean(parallel, "parallel_tool_calls")
    if not definitions:
        if choice not in (None, "none", "auto"):
            raise UnsupportedParameter(
                "The 'tool_choice' parameter is only allowed when 'tools' are given.", param="tool_choice"
            )
        return None
    if choice == "none":
        return None
    if choice in (None, "auto", "required"):
        return Tools(definitions, required=choice == "required", parallel=parallel is not False)
    return Tools(definitions, required=True, only=_chosen(choice, definitions), parallel=False)


def _chosen(choice: object, definitions: tuple[Mapping[str, object], ...]) -> str:
    place = "tool_choice"
    wanted = checks.mapping(choice, place)
    if wanted.get("type") != "function":
        raise InvalidValue(
            "Invalid value for 'tool_choice'. Supported are 'none', 'auto', 'required' and a function.",
            param="tool_choice.type",
        )
    name = function_name(
        checks.mapping(wanted.get("function"), f"{place}.function").get("name"), f"{place}.function.name"
    )
    if name not in Tools(definitions).names:
        raise InvalidValue(f"Tool choice '{name}' not found in 'tools' parameter.", param=place)
    return name


def begun_call(tools: Tools) -> str:
    """What the answer is made to begin with, so that a call that is required is made."""
    if not tools.required:
        return ""
    if tools.only is None:
        return f'{OPEN}\n{{"name": "'
    return f'{OPEN}\n{{"name": "{tools.only}", "arguments": '


class CallReader:
    """Reads an answer as it comes; each call is told once it is whole, everything else as text."""

    def __init__(self, tools: Tools) -> None:
        self._names, self._strict = tools.names, tools.strict
        self._held = begun_call(tools).removeprefix(OPEN)
        self._inside = bool(self._held)
        self._blank, self._said = "", False
        self.calls = 0

    def feed(self, text: str) -> list[str | ToolCall]:
        """What of the answer so far can be told now."""
        self._held += text
        told: list[str | ToolCall] = []
        while self._advance(told):
            pass
        return told

    def _advance(self, told: list[str | ToolCall]) -> bool:
        """One step; whether another may follow."""
        mark = CLOSE if self._inside else OPEN
        place = self._held.find(mark)
        if place >= 0:
            before, self._held = self._held[:place], self._held[place + len(mark) :]
            self._tell(self._call(before, CLOSE) if self._inside else before, told)
            self._inside = not self._inside
            return True
        if not self._inside:
            shown = len(self._held) - _start_of_mark(self._held)
            self._tell(self._held[:shown], told)
            self._held = self._held[shown:]
        return False

    def rest(self) -> list[str | ToolCall]:
        """What was held back: a call that lacks its last mark, or text."""
        told: list[str | ToolCall] = []
        self._tell(self._call(self._held, "") if self._inside else self._held, told)
        self._held, self._inside = "", False
        return told

    def _tell(self, part: str | ToolCall, told: list[str | ToolCall]) -> None:
        """Blanks around calls are not told."""
        if isinstance(part, ToolCall):
            self.calls += 1
            self._blank, self._said = "", False
            told.append(part)
        elif not part.strip() and not self._said:
            self._blank += part
        else:
            told.append(self._blank + part)
            self._blank, self._said = "", True

    def _call(self, raw: str, mark: str) -> str | ToolCall:
        """The call that this is; the text itself where it is none."""
        try:
            call = orjson.loads(raw)
        except orjson.JSONDecodeError:
            return f"{OPEN}{raw}{mark}"
        arguments = call.get("arguments", {}) if isinstance(call, dict) else None
        if not isinstance(arguments, dict) or call.get("name") not in self._names:
            return f"{OPEN}{raw}{mark}"
        if not fits(self._strict.get(call["name"], True), arguments):
            return f"{OPEN}{raw}{mark}"
        return ToolCall(f"call_{secrets.token_hex(12)}", str(call["name"]), orjson.dumps(arguments).decode())


def _start_of_mark(text: str) -> int:
    """How long the end of the text is that may become a mark."""
    return next((size for size in range(len(OPEN) - 1, 0, -1) if text.endswith(OPEN[:size])), 0)
