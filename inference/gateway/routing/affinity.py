"""Which replica has lately read which beginnings of prompts: those are in its prefix cache, probably.

A prompt is cut into blocks of characters. Each block's name is a hash of the block and of the name before it,
so equal names mean equal beginnings. A wrong guess costs time, never correctness.
"""

from collections import OrderedDict
from collections.abc import Hashable, Sequence

from inference.gateway.routing.breaker import Clock

BLOCK_CHARACTERS = 256
_MOST_BLOCKS = 256
_CAPACITY = 20_000
_LASTING_SECONDS = 600.0


class PrefixIndex:
    """Remembers blocks by replica, the most recently used of them."""

    def __init__(
        self, *, clock: Clock, capacity: int = _CAPACITY, lasting_seconds: float = _LASTING_SECONDS
    ) -> None:
        self._clock, self._capacity, self._lasting = clock, capacity, lasting_seconds
        self._holders: OrderedDict[int, dict[str, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._holders)

    @staticmethod
    def names(root: Hashable, prompt: str) -> list[int]:
        """The names of a prompt's whole blocks, the first 64 Ki characters of it.

        `root` parts what replicas cache apart: another adapter's prompts, another organization's.
        """
        name = hash(root)
        names = []
        for start in range(0, min(len(prompt), BLOCK_CHARACTERS * _MOST_BLOCKS), BLOCK_CHARACTERS):
            block = prompt[start : start + BLOCK_CHARACTERS]
            if len(block) < BLOCK_CHARACTERS:
                break
            name = hash((name, block))
            names.append(name)
        return names

    def matches(self, names: Sequence[int]) -> dict[str, int]:
        """By replica, how many characters of the beginning it has lately read; none are left out."""
        oldest = self._clock() - self._lasting
        found: dict[str, int] = {}
        for place, name in enumerate(names):
            holders = self._holders.get(name)
            if holders is None:
                break
            going = False
            for replica, used_at in holders.items():
                if used_at >= oldest and found.get(replica, 0) == place:
                    found[replica] = place + 1
                    going = True
            if not going:
                break
        return {replica: blocks * BLOCK_CHARACTERS for replica, blocks in found.items()}

    def note(self, names: Sequence[int], replica: str) -> None:
        """The replica reads this prompt now."""
        now = self._clock()
        # The beginning last, so that it is the last to be forgotten.
        for name in reversed(names):
            holders = self._holders.get(name)
            if holders is None:
                self._holders[name] = {replica: now}
            else:
                holders[replica] = now
                self._holders.move_to_end(name)
        while len(self._holders) > self._capacity:
            self._holders.popitem(last=False)

    def forget(self, replica: str) -> None:
        """The replica is gone."""
        for name in [name for name, holders in self._holders.items() if replica in holders]:
            holders = self._holders[name]
            del holders[replica]
            if not holders:
                del self._holders[name]
