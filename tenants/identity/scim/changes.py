"""SCIM's changes (PATCH), read into one form whichever directory writes them.

Okta sends values without paths, Entra ID paths without structure, capital letters in operations and texts
for booleans; the standard (RFC 7644, section 3.5.2) has room for all of them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tenants.identity.scim.errors import BadPath, BadSyntax, BadValue

OPERATIONS = frozenset({"add", "replace", "remove"})
MAX_OPERATIONS = 1000
SCHEMA = re.compile(r"^urn:[\w:.-]+:(?=[A-Za-z])", re.IGNORECASE)
PATH = re.compile(
    r'([A-Za-z][\w$-]*)(?:\[\s*(\w+)\s+eq\s+"([^"]*)"\s*\])?(?:\.([A-Za-z][\w$-]*))?', re.IGNORECASE
)


@dataclass(frozen=True)
class Change:
    """One change of one attribute, named in lower case (`name.givenname`, `members`).

    `only` is the value of the one element that a path picks out of a list.
    """

    operation: str
    attribute: str
    value: Any = None
    only: str | None = None


def read_changes(body: dict[str, Any]) -> list[Change]:
    """The changes of a PATCH body. Raises `BadSyntax`, `BadPath`."""
    operations = body.get("Operations", body.get("operations"))
    if not isinstance(operations, list) or not 0 < len(operations) <= MAX_OPERATIONS:
        raise BadSyntax(f"'Operations' must be a list of 1 to {MAX_OPERATIONS} operations.")
    return [change for operation in operations for change in _read_one(operation)]


def truth(value: Any) -> bool:
    """A boolean, also where it is written as text. Raises `BadValue`."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    raise BadValue("'active' must be true or false.")


def _read_one(operation: Any) -> Iterator[Change]:
    if not isinstance(operation, dict):
        raise BadSyntax("Each operation must be an object.")
    verb = str(operation.get("op", "")).lower()
    if verb not in OPERATIONS:
        raise BadSyntax("'op' must be add, replace or remove.")
    path, value = operation.get("path"), operation.get("value")
    if path:
        yield from _at_path(verb, str(path), value)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _at_path(verb, name, inner)
    else:
        raise BadSyntax("An operation without a path needs an object as its value.")


def _at_path(verb: str, path: str, value: Any) -> Iterator[Change]:
    if path.lower().startswith("urn:") and isinstance(value, dict):
        # An extension as a whole: directories send them unasked, and nothing of theirs is kept.
        return
    found = PATH.fullmatch(SCHEMA.sub("", path))
    if found is None:
        raise BadPath(f"The path '{path[:80]}' is not understood.")
    name, _, only, inner = found.groups()
    attribute = f"{name}.{inner}".lower() if inner else name.lower()
    if attribute == "name" and isinstance(value, dict):
        for part, text in value.items():
            yield Change(verb, f"name.{part.lower()}", text)
        return
    yield Change(verb, attribute, value, only)
