"""What rooms keep besides the rows that are a person's: content inside rows and objects, caches, streams.

A room registers one `Keeper` for each in its module `erasure`, which is loaded at start. It is asked in the
order of the rooms, so that it sees what those on which it stands have found.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar
from uuid import UUID

Beat = Callable[[], None]
"""Called often during long work; raises when the work is to end."""


class Fate(StrEnum):
    """What becomes of something that was found."""

    ERASED = "erased"
    # A copy without the person takes its place.
    REWRITTEN = "rewritten"
    CLEARED = "cleared"
    CANCELLED = "cancelled"
    # It learned from what is erased: it is to be made again.
    RETRAIN = "retrain"
    KEPT = "kept"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Whose traces are meant in an organization: all of it, one of its people, or whoever the words name.

    `words` are e-mail addresses and phrases, `rows` numbers of rows by the id of their file.
    """

    organization_id: UUID
    person: UUID | None = None
    words: tuple[str, ...] = ()
    rows: Mapping[UUID, frozenset[int]] = field(default_factory=dict)

    @property
    def is_everything(self) -> bool:
        """Whether the whole organization is meant."""
        return self.person is None and not self.words and not self.rows

    @property
    def addresses(self) -> tuple[str, ...]:
        """Those of the words that are e-mail addresses."""
        return tuple(word.strip().lower() for word in self.words if "@" in word)

    def is_named_in(self, text: str) -> bool:
        """Whether one of the words stands in a text, in any case of letters and width of spaces."""
        return bool(self.words) and self._pattern.search(normalised(text)) is not None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(_pattern_of(word) for word in self.words))


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Something that holds the subject: which kind, where, how many, and what becomes of it.

    `details` are ids and numbers for whoever erases it; neither they nor anything else here is content.
    """

    kind: str
    place: str
    count: int
    fate: Fate
    because: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The trace as a plan keeps it."""
        return asdict(self)

    @classmethod
    def of_json(cls, kept: Mapping[str, Any]) -> "Trace":
        """The trace that a plan kept."""
        return cls(**{**kept, "fate": Fate(kept["fate"])})


class Keeper:
    """One thing that a room keeps. `erase` must bear being called twice, and again after it failed."""

    name: ClassVar[str]

    def find(self, subject: Subject, found: Sequence[Trace], beat: Beat) -> Iterable[Trace]:
        """Where it holds the person or the words; `found` is what was found before."""
        return ()

    def erase(self, subject: Subject, traces: Sequence[Trace], beat: Beat) -> None:
        """Erase what was found; without traces and for a whole organization, everything."""
        raise NotImplementedError


_keepers: dict[str, Keeper] = {}


def keeps(keeper: type[Keeper]) -> type[Keeper]:
    """Register a keeper."""
    _keepers[keeper.name] = keeper()
    return keeper


def keepers() -> Iterator[Keeper]:
    """All of them, in the order of the rooms."""
    yield from _keepers.values()


def keeper_named(name: str) -> Keeper:
    """One of them. Raises `KeyError`."""
    return _keepers[name]


def no_beat() -> None:
    """For work that nobody ends early."""


def normalised(text: str) -> str:
    """A text in the form in which words are looked for."""
    return unicodedata.normalize("NFKC", text).casefold()


def _pattern_of(word: str) -> str:
    parts = [re.escape(part) for part in normalised(word).split()]
    # "ann@house.example" is not in "joe.ann@house.example", nor "Ann Lee" in "Joann Leek".
    before, after = (r"(?<![\w.+-])", r"(?![\w-])") if "@" in word else (r"(?<!\w)", r"(?!\w)")
    return before + r"\s+".join(parts) + after
