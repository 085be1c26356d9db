"""Rows: conversations in JSON lines, checked before anything is learned from them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.recipes.faults import Refused, rows_in_words

ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class Message:
    """One turn; `weight` 0 keeps an assistant turn as context without learning it."""

    role: str
    content: str
    weight: int = 1

    @property
    def trained(self) -> bool:
        """Whether the model learns to write this turn."""
        return self.role == "assistant" and self.weight != 0


@dataclass(frozen=True)
class Row:
    """One conversation and the 1-based number of its line in the file."""

    number: int
    messages: tuple[Message, ...]


def read_rows(path: Path) -> list[Row]:
    """Read the conversations of a JSON-lines file, blank lines apart.

    Raises `Refused`: `file_unreadable`, `file_empty`, or `row_invalid` with every bad row's number.
    Messages never quote what a row says.
    """
    try:
        lines = Path(path).read_bytes().split(b"\n")
    except OSError as fault:
        raise Refused("file_unreadable", f"The file of rows cannot be read: {fault.strerror}.") from fault
    rows, invalid = [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        messages = _messages(line)
        if messages is None:
            invalid.append(number)
        else:
            rows.append(Row(number, messages))
    if invalid:
        raise Refused("row_invalid", f"{rows_in_words(invalid)} cannot be read as a conversation.", invalid)
    if not rows:
        raise Refused("file_empty", "The file holds no rows.")
    return rows


def _messages(line: bytes) -> tuple[Message, ...] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    raw = row.get("messages") if isinstance(row, dict) else None
    if not isinstance(raw, list) or not raw:
        return None
    messages = [_message(item) for item in raw]
    return tuple(message for message in messages if message) if all(messages) else None


def _message(raw: Any) -> Message | None:
    if not isinstance(raw, dict) or raw.get("role") not in ROLES or not _is_text(raw.get("content")):
        return None
    weight = raw.get("weight", 1)
    if weight is None:
        weight = 1
    if isinstance(weight, bool) or weight not in (0, 1):
        return None
    return Message(raw["role"], raw["content"], int(weight))


def _is_text(content: Any) -> bool:
    # A lone surrogate is legal JSON and no text: it cannot be encoded, hence not tokenized.
    return isinstance(content, str) and not any("\ud800" <= char <= "\udfff" for char in content)
