"""JSON Lines: chat rows (`messages`) and prompt/completion rows, told apart by their first row."""

import json
from typing import Any

from tenants.datasets.formats.lines import Readable, lines
from tenants.datasets.formats.rows import ROLES, Findings, Message, Problem, Row

CHAT = "chat"
PROMPT_COMPLETION = "prompt_completion"
CHAT_KEYS = {"messages"}
PAIR_KEYS = {"prompt", "completion"}
MESSAGE_KEYS = {"role", "content", "weight", "name"}
MAX_DEPTH_FAULT = "It is nested too deeply."


class Unusable(ValueError):
    """A row that cannot be used; carried to the reader as a `Problem`."""

    def __init__(self, code: str, message: str, column: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.column = code, message, column

    def at(self, number: int) -> Problem:
        """The problem, with its row."""
        return Problem(number, self.code, self.message, self.column)


def read(stream: Readable, form: str) -> Findings:
    """Each row of a file in this form, usable or not, in order."""
    to_messages = chat_messages if form == CHAT else pair_messages
    for number, line in lines(stream):
        if isinstance(line, Problem):
            yield line
            continue
        try:
            yield Row(number, to_messages(decode(line)))
        except Unusable as fault:
            yield fault.at(number)


def decode(line: bytes) -> dict[str, Any]:
    """A line as a JSON object. Raises `Unusable`."""
    try:
        value = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as fault:
        raise Unusable("not_utf8", f"The line is not UTF-8 text (byte {fault.start + 1}).") from None
    except RecursionError:
        raise Unusable("invalid_json", MAX_DEPTH_FAULT) from None
    except ValueError as fault:
        place = f", character {fault.colno}" if isinstance(fault, json.JSONDecodeError) else ""
        raise Unusable("invalid_json", f"The line is not valid JSON{place}.") from None
    if not isinstance(value, dict):
        raise Unusable("not_an_object", 'The line must be a JSON object, like {"messages": […]}.')
    return value


def form_of(value: dict[str, Any]) -> str | None:
    """The form that a row has, if it has one of ours."""
    if value.keys() >= CHAT_KEYS:
        return CHAT
    return PROMPT_COMPLETION if value.keys() >= PAIR_KEYS else None


def chat_messages(value: dict[str, Any]) -> tuple[Message, ...]:
    """The messages of a chat row. Raises `Unusable`."""
    _refuse_unknown(value, CHAT_KEYS)
    messages = value.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Unusable("missing_messages", "'messages' must be a list of at least one message.", "messages")
    found = tuple(_message(item, place) for place, item in enumerate(messages))
    if not any(m.role == "assistant" and m.weight != 0 for m in found):
        raise Unusable(
            "nothing_to_train", "The row needs an assistant message whose weight is not 0.", "messages"
        )
    return found


def pair_messages(value: dict[str, Any]) -> tuple[Message, ...]:
    """The messages of a prompt/completion row. Raises `Unusable`."""
    _refuse_unknown(value, PAIR_KEYS)
    prompt, completion = (text(value.get(key), key) for key in ("prompt", "completion"))
    return (Message("user", prompt), Message("assistant", completion))


def text(value: Any, column: str) -> str:
    """A text with something in it. Raises `Unusable`."""
    if not isinstance(value, str):
        raise Unusable("not_text", f"'{column}' must be a text.", column)
    if not value.strip():
        raise Unusable("empty_text", f"'{column}' is empty.", column)
    if "\0" in value:
        raise Unusable("nul_character", f"'{column}' contains a NUL character.", column)
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise Unusable(
            "broken_character", f"'{column}' contains half a character (a lone surrogate).", column
        )
    return value


def _message(item: Any, place: int) -> Message:
    column = f"messages[{place}]"
    if not isinstance(item, dict):
        raise Unusable("not_an_object", f"'{column}' must be an object with 'role' and 'content'.", column)
    if unknown := sorted(item.keys() - MESSAGE_KEYS):
        raise Unusable(
            "unknown_key", f"'{column}' has the key '{unknown[0][:40]}', which is not read.", column
        )
    role = item.get("role")
    if role not in ROLES:
        allowed = ", ".join(ROLES)
        raise Unusable("unknown_role", f"'{column}.role' must be one of {allowed}.", f"{column}.role")
    return Message(role, text(item.get("content"), f"{column}.content"), _weight(item, role, column))


def _weight(item: dict[str, Any], role: str, column: str) -> int | None:
    if "weight" not in item:
        return None
    weight = item["weight"]
    if role != "assistant" or isinstance(weight, bool) or weight not in (0, 1):
        raise Unusable(
            "invalid_weight",
            f"'{column}.weight' must be 0 or 1, on assistant messages only.",
            f"{column}.weight",
        )
    return int(weight)


def _refuse_unknown(value: dict[str, Any], known: set[str]) -> None:
    if unknown := sorted(value.keys() - known):
        expected = " and ".join(f"'{key}'" for key in sorted(known))
        raise Unusable(
            "unknown_key", f"The row has the key '{unknown[0][:40]}'; expected {expected}.", unknown[0][:40]
        )
