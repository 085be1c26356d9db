"""How rows go whose time is over, where that is more than deleting them with their objects."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

Retire = Callable[[Sequence[Any]], None]
R = TypeVar("R", bound=Retire)
_ways: dict[type, Retire] = {}


def retires(model: type) -> Callable[[R], R]:
    """Register what takes rows of this model out, in the caller's transaction and scope."""

    def register(retire: R) -> R:
        _ways[model] = retire
        return retire

    return register


def way_of(model: type) -> Retire | None:
    """The registered way, if there is one."""
    return _ways.get(model)
