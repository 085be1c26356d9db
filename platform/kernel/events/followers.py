"""What else is done with events, in the transaction that marks them dispatched."""

from collections.abc import Callable, Sequence

from kernel.events.models import OutboxEvent

Follower = Callable[[Sequence[OutboxEvent]], None]

_followers: list[Follower] = []


def follower(function: Follower) -> Follower:
    """Call the function with every batch of events before it counts as dispatched.

    It works across organizations, and must bear being called twice with the same event: what it raises
    rolls the batch back, to be delivered again.
    """
    _followers.append(function)
    return function


def tell_followers(events: Sequence[OutboxEvent]) -> None:
    """Hand a batch to every follower, in the order in which they registered."""
    for follow in _followers:
        follow(events)
