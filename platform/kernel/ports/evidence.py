"""Facts about this deployment that evidence reports show, each computed when it is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar


@dataclass(frozen=True)
class Fact:
    """What was found just now. `met` says whether it is as it should be, None that there is nothing to judge.

    `how` says how it was computed, so that an auditor can do it again. `of_deployment` marks what is the same
    for every organization.
    """

    title: str
    value: Any
    met: bool | None
    how: str
    of_deployment: bool = False


Teller = Callable[[], Fact]
T = TypeVar("T", bound=Teller)
_tellers: dict[str, Teller] = {}


def tells(name: str) -> Callable[[T], T]:
    """Register what tells a fact; it is called in the scope of the organization that the report is for."""

    def register(teller: T) -> T:
        _tellers[name] = teller
        return teller

    return register


def tellers() -> dict[str, Teller]:
    """Everything that is registered, by name."""
    return dict(_tellers)
