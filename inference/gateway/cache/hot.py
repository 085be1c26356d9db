"""What is asked most, in this process's memory: the same sealed bytes as in Valkey, without the round trip.

They stay sealed, so that an organization whose key is taken away cannot be read here either, and their bytes
are what they are counted as.
"""

from collections import OrderedDict
from dataclasses import dataclass

from inference.gateway.cache.sketch import Sketch

_ENTRY_BYTES = 250
# No organization takes more of the memory than this part.
_SHARE = 8


@dataclass(frozen=True)
class Kept:
    """One entry: its sealed bytes, when it ends (Unix seconds), what giving it again saves (tokens)."""

    entry: bytes
    ends_at: float
    tokens_saved: float

    @property
    def size_bytes(self) -> int:
        """What it takes of the memory."""
        return len(self.entry) + _ENTRY_BYTES


_Entries = OrderedDict[bytes, Kept]


class Hot:
    """Entries by organization, the least recently used first, within a number of bytes."""

    def __init__(self, *, max_bytes: int, sketch: Sketch) -> None:
        self._max_bytes, self._sketch = max_bytes, sketch
        self._organizations: OrderedDict[str, _Entries] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self.total_bytes = 0

    def get(self, organization_id: str, name: bytes, *, now: float) -> bytes | None:
        """The sealed bytes kept under this name."""
        entries = self._organizations.get(organization_id)
        kept = entries.get(name) if entries is not None else None
        if entries is None or kept is None:
            return None
        if kept.ends_at <= now:
            self.drop(organization_id, name)
            return None
        entries.move_to_end(name)
        self._organizations.move_to_end(organization_id)
        return kept.entry

    def put(self, organization_id: str, name: bytes, kept: Kept) -> bool:
        """Keep it, if it is worth more than what would have to go; answers whether it was kept."""
        self.drop(organization_id, name)
        share = self._max_bytes // _SHARE
        if kept.size_bytes > share:
            return False
        worth = self._worth(name, kept)
        while self._sizes.get(organization_id, 0) + kept.size_bytes > share:
            if not self._make_room(organization_id, worth):
                return False
        while self.total_bytes + kept.size_bytes > self._max_bytes:
            if not self._make_room(next(iter(self._organizations)), worth):
                return False
        self._organizations.setdefault(organization_id, OrderedDict())[name] = kept
        self._organizations.move_to_end(organization_id)
        self._count(organization_id, kept.size_bytes)
        return True

    def drop(self, organization_id: str, name: bytes) -> None:
        """Forget one entry."""
        kept = self._organizations.get(organization_id, OrderedDict()).pop(name, None)
        if kept is not None:
            self._count(organization_id, -kept.size_bytes)

    def _make_room(self, organization_id: str, worth: float) -> bool:
        """Drop the entry of the organization that was used least recently, unless it is worth more."""
        name, oldest = next(iter(self._organizations[organization_id].items()))
        if self._worth(name, oldest) > worth:
            # It stays, and the next one is looked at first the next time.
            self._organizations[organization_id].move_to_end(name)
            return False
        self.drop(organization_id, name)
        return True

    def _worth(self, name: bytes, kept: Kept) -> float:
        """Tokens saved by the byte: how often it is asked, times what each time saves."""
        return self._sketch.estimate(name) * kept.tokens_saved / kept.size_bytes

    def _count(self, organization_id: str, difference: int) -> None:
        self.total_bytes += difference
        self._sizes[organization_id] = self._sizes.get(organization_id, 0) + difference
        if not self._sizes[organization_id]:
            del self._sizes[organization_id]
            self._organizations.pop(organization_id, None)
