"""Words that may not be said: found whole, whatever their case, with any white space between them."""

import re
from collections.abc import Iterable
from functools import cached_property

from inference.gateway.policy.pii import Span

# Letters that regular expressions take for an i.
_DOTLESS = str.maketrans("\u0130\u0131", "ii")
_BLANKS = re.compile(r"\s+")


def _folded(text: str) -> str:
    return _BLANKS.sub(" ", text.translate(_DOTLESS).casefold())


class WordList:
    """A list of words and phrases, compiled once."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words = sorted({_BLANKS.sub(" ", one.strip()) for one in words}, key=len, reverse=True)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        alternatives = ["".join(r"\s{1,8}" if c == " " else re.escape(c) for c in one) for one in self._words]
        return re.compile(rf"(?<!\w)(?:{'|'.join(alternatives)})(?!\w)", re.IGNORECASE)

    @cached_property
    def _starts(self) -> frozenset[str]:
        return frozenset(
            whole[:size] for whole in map(_folded, self._words) for size in range(1, len(whole) + 1)
        )

    @cached_property
    def _longest(self) -> int:
        return max(len(one) for one in self._words)

    def found(self, text: str, start: int = 0) -> list[Span]:
        """Where they stand from `start` on."""
        return [Span(one.start(), one.end(), "word") for one in self._pattern.finditer(text, start)]

    def open_from(self, text: str, start: int) -> int:
        """From where on the text's end may yet become one of them; its length where nothing may."""
        first = max(start, len(text) - 8 * self._longest - 1)
        for place in range(first, len(text)):
            begins = place == 0 or not (text[place - 1].isalnum() or text[place - 1] == "_")
            if begins and not text[place].isspace() and _folded(text[place:]) in self._starts:
                return place
        return len(text)
