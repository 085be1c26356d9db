"""What an identity provider says of a person, whichever protocol carried it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_GROUPS = 500
MAX_SUBJECT_CHARACTERS = 1024
MAX_NAME_CHARACTERS = 100


@dataclass(frozen=True)
class Asserted:
    """A verified statement: the provider's own name for the person, and what it knows of them."""

    subject: str
    email: str
    name: str = ""
    groups: tuple[str, ...] = ()


def words(value: Any) -> tuple[str, ...]:
    """A claim of one or several texts as a tuple; anything else is nothing."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Sequence):
        return tuple(item for item in value if isinstance(item, str))[:MAX_GROUPS]
    return ()


def first_word(values: Mapping[str, Any], names: Sequence[str]) -> str:
    """The first text under any of the names."""
    return next((found[0] for name in names if (found := words(values.get(name)))), "")
