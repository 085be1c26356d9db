"""What is erased with an organization besides its rows and objects: rooms register it when they start."""

from collections.abc import Callable
from uuid import UUID

Eraser = Callable[[UUID], None]
_erasers: dict[str, Eraser] = {}


def erases(name: str) -> Callable[[Eraser], Eraser]:
    """Call the function with the id of an organization that is erased, before its rows go.

    It must bear being called twice, and be called again after it failed.
    """

    def register(eraser: Eraser) -> Eraser:
        _erasers[name] = eraser
        return eraser

    return register


def erasers() -> dict[str, Eraser]:
    """Everything that is registered, by name."""
    return dict(_erasers)
