"""JSON as it is meant: one object, no key twice, no number that is none, nothing that cannot be stored."""

import json
from collections.abc import Iterator
from math import isfinite
from typing import IO, Any, NoReturn

from rest_framework.parsers import JSONParser

from kernel.errors import InvalidRequest, PayloadTooLarge

MAX_BODY_BYTES = 1024 * 1024
MAX_DEPTH = 64
# What a 64-bit column holds.
MAX_WHOLE_NUMBER = 2**63 - 1


class InvalidJson(InvalidRequest):
    """The body is no JSON, or JSON that two readers would understand differently."""

    code = "invalid_json"


class ForbiddenCharacter(InvalidRequest):
    """A text holds a NUL or half of a character, which nothing behind this door can keep."""

    code = "invalid_characters"


class BodyTooLarge(PayloadTooLarge):
    """A JSON body of more bytes than are read."""

    message = f"The body may have at most {MAX_BODY_BYTES} bytes."


class StrictJSONParser(JSONParser):
    """Reads one JSON object; refuses what others let pass, naming the place."""

    def parse(self, stream: IO[Any], media_type: Any = None, parser_context: Any = None) -> Any:
        raw = stream.read(MAX_BODY_BYTES + 1)
        if len(raw) > MAX_BODY_BYTES:
            raise BodyTooLarge
        return read_object(raw)


def read_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in the bytes. Raises `InvalidJson`, `ForbiddenCharacter`."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as fault:
        raise InvalidJson(f"The body is not UTF-8: byte {fault.start + 1} is not.") from None
    try:
        found = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_whole
        )
    except RecursionError:
        raise InvalidJson(f"The body is nested deeper than {MAX_DEPTH} levels.") from None
    except json.JSONDecodeError as fault:
        raise InvalidJson(
            f"The body is not valid JSON: {fault.msg} in line {fault.lineno}, column {fault.colno}."
        ) from None
    if not isinstance(found, dict):
        raise InvalidJson("The body must be a JSON object.")
    _inspect(found)
    return found


def check_text(text: str, where: str | None) -> None:
    """Raise `ForbiddenCharacter` where a text could not be stored as it is."""
    if "\0" in text:
        raise ForbiddenCharacter("A NUL character is not allowed here.", param=where)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ForbiddenCharacter("Half of a surrogate pair is not allowed here.", param=where) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidJson("The same key is given twice in one object.", param=_printable(twice))
    return found


def _constant(name: str) -> NoReturn:
    raise InvalidJson(f"The body is not valid JSON: {name} is no number there.")


def _float(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise InvalidJson("The body holds a number that is too large.")
    return number


def _whole(digits: str) -> int:
    # Longer ones are not even converted: that takes time in the square of their length.
    if len(digits) > 20 or not -MAX_WHOLE_NUMBER - 1 <= int(digits) <= MAX_WHOLE_NUMBER:
        raise InvalidJson("The body holds a whole number that does not fit in 64 bits.")
    return int(digits)


def _inspect(found: dict[str, Any]) -> None:
    """Look at every text and the depth, without recursion."""
    waiting: list[tuple[str, Any, int]] = [("", found, 1)]
    while waiting:
        path, value, depth = waiting.pop()
        if isinstance(value, str):
            check_text(value, path)
            continue
        if not isinstance(value, dict | list):
            continue
        if depth > MAX_DEPTH:
            raise InvalidJson(f"The body is nested deeper than {MAX_DEPTH} levels.")
        waiting.extend((f"{path}.{name}".strip("."), inner, depth + 1) for name, inner in _children(value))


def _children(value: dict[str, Any] | list[Any]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list):
        yield from ((str(place), inner) for place, inner in enumerate(value))
        return
    for name, inner in value.items():
        check_text(name, _printable(name))
        yield name, inner


def _printable(name: str) -> str:
    return name.encode("ascii", "backslashreplace").decode().replace("\0", "\\x00")[:80]
