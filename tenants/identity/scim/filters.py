"""SCIM's filters, as far as directories use them: equality, joined by 'and' (RFC 7644, section 3.4.2.2)."""

import re
from dataclasses import dataclass

from tenants.identity.scim.errors import BadFilter, BadValue

MAX_FILTER_CHARACTERS = 1000
DEFAULT_COUNT = 100
MAX_COUNT = 200
# A page far beyond any list; PostgreSQL counts no further.
MAX_START = 2**31
TERM = re.compile(r'\s*([A-Za-z][\w.:$-]*)\s+eq\s+("(?:[^"\\]|\\.)*"|true|false)\s*', re.IGNORECASE)
AND = re.compile(r"and\b", re.IGNORECASE)
ESCAPE = re.compile(r"\\(.)")


@dataclass(frozen=True)
class Page:
    """Which part of a list is asked for: `start` counts from 1."""

    start: int
    count: int

    @property
    def slice(self) -> slice:
        """The part of a queryset."""
        return slice(self.start - 1, self.start - 1 + self.count)


def read_filter(text: str) -> dict[str, str]:
    """Lower-case attribute names and the values they must equal. Raises `BadFilter`."""
    found: dict[str, str] = {}
    rest = text
    while rest or not found:
        term = TERM.match(rest) if len(text) <= MAX_FILTER_CHARACTERS else None
        if term is None:
            raise BadFilter('The filter is not understood; write it like: userName eq "ada@example.com".')
        found[_attribute(term[1])] = _value(term[2])
        rest = rest[term.end() :]
        if rest:
            joint = AND.match(rest)
            if joint is None:
                raise BadFilter("Only 'eq' is understood in filters, and 'and' between them.")
            rest = rest[joint.end() :] or " "
    return found


def read_page(start: str | None, count: str | None) -> Page:
    """The page that `startIndex` and `count` ask for. Raises `BadValue`."""
    first, size = _whole(start, "startIndex", 1), _whole(count, "count", DEFAULT_COUNT)
    return Page(min(max(first, 1), MAX_START), min(max(size, 0), MAX_COUNT))


def _attribute(name: str) -> str:
    # Attributes may be written with the name of their schema before them.
    return name.rpartition(":")[2].lower()


def _value(text: str) -> str:
    return ESCAPE.sub(r"\1", text[1:-1]) if text.startswith('"') else text.lower()


def _whole(text: str | None, name: str, default: int) -> int:
    if text is None:
        return default
    if not re.fullmatch(r"-?\d{1,9}", text):
        raise BadValue(f"'{name}' must be a whole number.", param=name)
    return int(text)
