"""The schemas of functions with `strict`: whether a call's arguments are what they say.

What is understood is JSON Schema (2020-12) as far as OpenAI publishes it for such functions, less patterns: a
caller's pattern could keep this process from its work for as long as the caller likes. Nothing is fetched,
and a check ends after so many steps.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, time
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from uuid import UUID

from inference.gateway.faults import InvalidValue, UnsupportedParameter

_MAX_STEPS = 20_000
_MAX_DEPTH = 100
_SAY_NOTHING = {
    *("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"),
    *("$schema", "$id", "$comment", "discriminator"),
}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": _is_number,
    "integer": lambda value: _is_number(value) and value % 1 == 0,
}


def _moment(text: str) -> datetime:
    day, _, clock = text.replace("t", "T").partition("T")
    return datetime.combine(date.fromisoformat(day), time.fromisoformat(clock))


_FORMATS: Mapping[str, Callable[[str], object]] = {
    "date": date.fromisoformat,
    "date-time": _moment,
    "time": time.fromisoformat,
    "uuid": UUID,
    "ipv4": IPv4Address,
    "ipv6": IPv6Address,
}
# Keywords that hold schemas: one, several in a list, several by name.
_ONE, _LISTED, _NAMED = (
    {"items", "additionalProperties"},
    {"anyOf", "allOf"},
    {"properties", "$defs", "definitions"},
)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_schema(value: object) -> bool:
    return isinstance(value, dict | bool)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


# Every keyword that a check heeds, and what its value must be like.
_SHAPES: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(_ONE, _is_schema),
    **dict.fromkeys(_LISTED, lambda value: isinstance(value, list) and all(map(_is_schema, value))),
    **dict.fromkeys(_NAMED, lambda value: isinstance(value, dict) and all(map(_is_schema, value.values()))),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _is_number),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _is_count),
    "type": lambda value: value in _TYPES if isinstance(value, str) else _are_types(value),
    "enum": lambda value: isinstance(value, list),
    "const": lambda _: True,
    "required": _are_texts,
    "$ref": lambda value: isinstance(value, str),
    "format": lambda value: isinstance(value, str) and value in _FORMATS,
}


def _are_types(value: object) -> bool:
    return isinstance(value, list) and _are_texts(value) and all(one in _TYPES for one in value)


def check_strict(schema: Any, param: str, *, root: Any = None) -> None:
    """Raise an `InvalidRequest` that names the first part of the schema to which no call could be held."""
    if isinstance(schema, bool):
        return
    root = schema if root is None else root
    for keyword, value in schema.items():
        if keyword in _SAY_NOTHING:
            continue
        place = f"{param}.{keyword[:64]}"
        well_formed = _SHAPES.get(keyword)
        if well_formed is None:
            raise UnsupportedParameter(
                f"The schema of a function with 'strict' cannot have '{keyword[:64]}', as no call could be "
                "held to it. Leave it or 'strict' out.",
                param=place,
            )
        if not well_formed(value) or (keyword == "$ref" and _found(root, value) is None):
            raise InvalidValue(f"Invalid value for '{place}' of a function with 'strict'.", param=place)
        for name, inner in _within(keyword, value):
            check_strict(inner, f"{place}{name}", root=root)


def _within(keyword: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The schemas that a keyword holds, and where."""
    if keyword in _ONE:
        yield "", value
    elif keyword in _LISTED:
        yield from ((f"[{place}]", one) for place, one in enumerate(value))
    elif keyword in _NAMED:
        yield from ((f".{name[:64]}", one) for name, one in value.items())


def _found(root: Any, reference: str) -> Any:
    """The schema of a reference within the same one; None where there is none."""
    start, *parts = reference.split("/")
    found = root if start == "#" else None
    for part in parts:
        name = part.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, dict) else None
    return found if _is_schema(found) else None


def fits(schema: Any, document: Any) -> bool:
    """Whether a document is what the schema says, which `check_strict` has let pass."""
    return _Check(schema).holds(schema, document, 0)


class _Check:
    """One check of one document; what takes too many steps does not fit."""

    def __init__(self, root: Any) -> None:
        self._root, self._left = root, _MAX_STEPS

    def holds(self, schema: Any, document: Any, depth: int) -> bool:
        self._left -= 1
        if self._left < 0 or depth > _MAX_DEPTH:
            return False
        if isinstance(schema, bool):
            return schema
        kept = all(_RULES[name](document, rule) for name, rule in schema.items() if name in _RULES)
        return kept and all(self._inner(name, schema, document, depth + 1) for name in schema)

    def _inner(self, keyword: str, schema: Any, document: Any, depth: int) -> bool:
        """Whether what a keyword's own schemas say of the document, or of its parts, holds."""
        rule = schema[keyword]
        if keyword == "anyOf":
            return any(self.holds(one, document, depth) for one in rule)
        pairs: Iterable[tuple[Any, Any]] = ()
        if keyword == "$ref":
            pairs = [(_found(self._root, rule), document)]
        elif keyword == "allOf":
            pairs = ((one, document) for one in rule)
        elif keyword == "items" and isinstance(document, list):
            pairs = ((rule, one) for one in document)
        elif keyword == "properties" and isinstance(document, dict):
            pairs = ((rule[name], document[name]) for name in rule if name in document)
        elif keyword == "additionalProperties" and isinstance(document, dict):
            others = document.keys() - schema.get("properties", {}).keys()
            pairs = ((rule, document[name]) for name in others)
        return all(self.holds(inner, part, depth) for inner, part in pairs)


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _is_of(document: Any, kinds: Any) -> bool:
    return any(_TYPES[kind](document) for kind in ([kinds] if isinstance(kinds, str) else kinds))


def _is_formed(document: Any, kind: str) -> bool:
    if not isinstance(document, str):
        return True
    try:
        _FORMATS[kind](document)
    except ValueError:
        return False
    return True


def _of(applies: Callable[[Any], bool], holds: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """A rule for documents of one type, which all others keep."""
    return lambda document, rule: not applies(document) or holds(document, rule)


# Each keyword that a document can be held to without another schema.
_RULES: Mapping[str, Callable[[Any, Any], bool]] = {
    "type": _is_of,
    "enum": lambda document, rule: any(_same(document, one) for one in rule),
    "const": _same,
    "format": _is_formed,
    "required": _of(_TYPES["object"], lambda document, rule: all(name in document for name in rule)),
    "minimum": _of(_is_number, lambda document, rule: document >= rule),
    "maximum": _of(_is_number, lambda document, rule: document <= rule),
    "exclusiveMinimum": _of(_is_number, lambda document, rule: document > rule),
    "exclusiveMaximum": _of(_is_number, lambda document, rule: document < rule),
    "minLength": _of(_TYPES["string"], lambda document, rule: len(document) >= rule),
    "maxLength": _of(_TYPES["string"], lambda document, rule: len(document) <= rule),
    "minItems": _of(_TYPES["array"], lambda document, rule: len(document) >= rule),
    "maxItems": _of(_TYPES["array"], lambda document, rule: len(document) <= rule),
}
