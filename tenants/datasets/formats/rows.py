"""The one form in which training reads rows, and what can be wrong with a row."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["system", "user", "assistant"]
ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class Message:
    """One turn of a row. `weight` 0 means: shown to the model, not trained on."""

    role: str
    content: str
    weight: int | None = None


@dataclass(frozen=True)
class Row:
    """One example; `number` counts from 1 in its file (in a CSV file the header is not counted)."""

    number: int
    messages: tuple[Message, ...]

    def canonical(self) -> bytes:
        """The row's one line in a dataset version: equal rows have equal bytes."""
        messages: list[dict[str, Any]] = []
        for message in self.messages:
            shown: dict[str, Any] = {"role": message.role, "content": message.content}
            if message.weight is not None:
                shown["weight"] = message.weight
            messages.append(shown)
        return json.dumps({"messages": messages}, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


@dataclass(frozen=True)
class Problem:
    """Why a row cannot be used. `message` never quotes content: it names places, not words."""

    row: int
    code: str
    message: str
    column: str | None = None

    def line(self) -> bytes:
        """The problem as a line of JSON."""
        fields = {"row": self.row, "column": self.column, "code": self.code, "message": self.message}
        return json.dumps(fields).encode() + b"\n"


Finding = Row | Problem
Findings = Iterator[Finding]
