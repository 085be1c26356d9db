"""Constraints on the output, in llguidance's Lark dialect, and the probe that tells whether one compiles."""

import json
from dataclasses import dataclass
from typing import Any

from inference.engine.faults import InvalidInput

MARK = "\x01"


@dataclass(frozen=True)
class Grammar:
    """A constraint on the output: `kind` is `json` (a JSON Schema) or `regex` (whole output)."""

    kind: str
    value: Any

    def lark(self) -> str:
        """Return what constrains the output to this grammar."""
        return f"%llguidance {{}}\nstart: {self._body()}\n"

    def probe(self) -> str:
        """Return the grammar behind an unlikely first character.

        llama.cpp ignores a grammar that llguidance cannot compile. With this one the first character
        of the output is `MARK` if and only if it compiled.
        """
        return f'%llguidance {{}}\nstart: "\\u0001" body\nbody: {self._body()}\n'

    def _body(self) -> str:
        if self.kind == "json":
            return f"%json {json.dumps(self.value)}"
        return f"/{_escaped(self.value)}/"


def _escaped(regex: str) -> str:
    pieces, characters = [], iter(regex)
    for character in characters:
        if character == "\\":
            pieces.append(character + next(characters, ""))
        else:
            pieces.append({"/": r"\/", "\n": r"\n", "\r": r"\r"}.get(character, character))
    return "".join(pieces)


def read(value: Any) -> Grammar:
    """Return the grammar of a request; raise `InvalidInput` when it has not TGI's shape."""
    kind = value.get("type") if isinstance(value, dict) else None
    if kind not in ("json", "json_schema", "regex") or "value" not in value:
        raise InvalidInput("`grammar` must have a `type` of json, json_schema or regex, and a `value`")
    inner = value["value"]
    if kind == "regex":
        if not isinstance(inner, str) or not inner:
            raise InvalidInput("`grammar.value` must be a string that is not empty")
        return Grammar("regex", inner)
    if kind == "json_schema":
        inner = inner.get("schema") if isinstance(inner, dict) else None
    schema = _parsed(inner) if isinstance(inner, str) else inner
    if not isinstance(schema, dict):
        raise InvalidInput("`grammar.value` must be a JSON Schema object")
    return Grammar("json", schema)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as fault:
        raise InvalidInput(f"grammar is not valid: {fault}") from fault
