"""Readers of JSON values: each returns what it accepts, or says in OpenAI's words what is wrong.

What a reader accepts can be told as a schema of OpenAPI (`shape_of`).
"""

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from inference.gateway.faults import InvalidType, InvalidValue, UnknownParameter

Read = Callable[[object, str], object]
Shape = Mapping[str, Any]
R = TypeVar("R", bound=Read)

_shapes: WeakKeyDictionary[Read, Shape] = WeakKeyDictionary()

_JSON_NAMES: dict[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    list: "an array",
    dict: "an object",
    type(None): "null",
}


def wrong_type(value: object, param: str, expected: str) -> InvalidType:
    """The fault for a value of the wrong JSON type."""
    got = _JSON_NAMES.get(type(value), "something else")
    return InvalidType(
        f"Invalid type for '{param}': expected {expected}, but got {got} instead.", param=param
    )


def accepting(**shape: Any) -> Callable[[R], R]:
    """Tell what a reader accepts, as the keywords of an OpenAPI 3.0 schema."""

    def note(read: R) -> R:
        _shapes[read] = shape
        return read

    return note


def shape_of(read: Read) -> Shape:
    """What a reader accepts; anything, where nobody has told."""
    return _shapes.get(read, {})


@accepting(type="string")
def text(value: object, param: str) -> str:
    """A string without NUL characters."""
    if not isinstance(value, str):
        raise wrong_type(value, param, "a string")
    if "\0" in value:
        raise InvalidValue(f"Invalid value for '{param}': it contains a NUL character.", param=param)
    return value


def short_text(limit: int) -> Read:
    """A string of at most `limit` characters."""

    @accepting(type="string", maxLength=limit)
    def read(value: object, param: str) -> str:
        found = text(value, param)
        if len(found) > limit:
            raise InvalidValue(
                f"Invalid '{param}': string too long, at most {limit} characters.", param=param
            )
        return found

    return read


@accepting(type="boolean")
def boolean(value: object, param: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise wrong_type(value, param, "a boolean")
    return value


def number(low: float, high: float) -> Read:
    """A number between both, inclusive."""

    @accepting(type="number", minimum=low, maximum=high)
    def read(value: object, param: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong_type(value, param, "a decimal")
        if not low <= value <= high:
            raise _out_of_range(value, param, low, high)
        return float(value)

    return read


def above_zero(high: float) -> Read:
    """A number above 0, `high` at most."""

    @accepting(type="number", minimum=0, exclusiveMinimum=True, maximum=high)
    def read(value: object, param: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong_type(value, param, "a decimal")
        if not 0 < value <= high:
            raise InvalidValue(
                f"Invalid value for '{param}': expected a value above 0 and of at most {high:g}, but got "
                f"{value} instead.",
                param=param,
            )
        return float(value)

    return read


def integer(low: int, high: int) -> Read:
    """An integer between both, inclusive."""

    @accepting(type="integer", minimum=low, maximum=high)
    def read(value: object, param: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong_type(value, param, "an integer")
        if not low <= value <= high:
            raise _out_of_range(value, param, low, high)
        return value

    return read


def _out_of_range(value: float, param: str, low: float, high: float) -> InvalidValue:
    return InvalidValue(
        f"Invalid value for '{param}': expected a value between {low} and {high}, but got {value} instead.",
        param=param,
    )


@accepting(type="object")
def mapping(value: object, param: str) -> dict[str, object]:
    """An object."""
    if not isinstance(value, dict):
        raise wrong_type(value, param, "an object")
    return value


def only(names: Iterable[str], known: Container[str], place: str) -> None:
    """Raise `UnknownParameter` for a field that is not among the known ones; `place` is what leads to it."""
    for name in names:
        if name not in known:
            path = f"{place}{name[:64]}"
            raise UnknownParameter(f"Unknown parameter: '{path}'.", param=path)


@accepting(type="object", maxProperties=16, additionalProperties={"type": "string", "maxLength": 512})
def metadata(value: object, param: str) -> dict[str, object]:
    """At most 16 pairs of short strings."""
    pairs = mapping(value, param)
    if len(pairs) > 16:
        raise InvalidValue(f"Invalid '{param}': at most 16 pairs are allowed.", param=param)
    for name, content in pairs.items():
        short_text(64)(name, param)
        short_text(512)(content, f"{param}.{name}")
    return pairs
