"""Which events customers may hear of. The composition root fills it: the kernel knows no room's names."""

import re
from dataclasses import dataclass

from kernel.webhooks.errors import UnknownEvent

MAX_PATTERNS = 50
EVERYTHING = "*"
_PATTERN = re.compile(r"\*|[a-z_]+(?:\.[a-z_0-9]+)*(?:\.\*)?")


@dataclass(frozen=True)
class PublicEvent:
    """An event's name (`room.noun.past_verb.v1`) and what it tells."""

    name: str
    description: str


_published: dict[str, PublicEvent] = {}


def publish(*events: PublicEvent) -> None:
    """Let customers hear of these events."""
    _published.update({event.name: event for event in events})


def published() -> list[PublicEvent]:
    """All that customers can hear of, by name."""
    return sorted(_published.values(), key=lambda event: event.name)


def is_public(name: str) -> bool:
    """Whether customers may hear of an event."""
    return name in _published


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern means an event: the name itself, its beginning and `.*`, or `*` alone."""
    if pattern == EVERYTHING:
        return True
    if pattern.endswith(".*"):
        return name.startswith(pattern[:-1])
    return pattern == name


def check_patterns(patterns: list[str]) -> list[str]:
    """The patterns, each once and in order. Raises `UnknownEvent` for one that means nothing."""
    if not 0 < len(patterns) <= MAX_PATTERNS:
        raise UnknownEvent(f"Name 1 to {MAX_PATTERNS} events.", param="events")
    for pattern in patterns:
        known = _PATTERN.fullmatch(pattern) and any(matches(pattern, name) for name in _published)
        if not known:
            raise UnknownEvent(
                f"No event is named '{pattern[:100]}'; see /api/v1/webhook-events.", param="events"
            )
    return sorted(set(patterns))
