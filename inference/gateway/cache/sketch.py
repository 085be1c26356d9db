"""How often something was asked lately, in little memory: a count-min sketch that ages.

The TinyLFU of Einziger, Friedman and Manes (ACM Transactions on Storage 13/4, 2017), without its doorkeeper.
"""

_ROWS = 4
_MOST = 15
_HALVED = bytes(count >> 1 for count in range(256))


class Sketch:
    """Counts names up to 15. Never too low but for ageing; too high where names collide in every row."""

    def __init__(self, *, width_bits: int = 14) -> None:
        self._mask = (1 << width_bits) - 1
        self._rows = [bytearray(1 << width_bits) for _ in range(_ROWS)]
        self._until_halved = self._period = 10 << width_bits

    def note(self, name: bytes) -> None:
        """It was asked once more. `name` is a keyed hash of at least 16 bytes."""
        lowest = self.estimate(name)
        if lowest < _MOST:
            for row, place in zip(self._rows, self._places(name), strict=True):
                if row[place] == lowest:
                    row[place] += 1
        self._until_halved -= 1
        if not self._until_halved:
            self._rows = [row.translate(_HALVED) for row in self._rows]
            self._until_halved = self._period

    def estimate(self, name: bytes) -> int:
        """How often it was asked, recent times counting more."""
        return min(row[place] for row, place in zip(self._rows, self._places(name), strict=True))

    def _places(self, name: bytes) -> list[int]:
        # The name is a keyed hash already: its own bits are as good as any hash of it.
        return [int.from_bytes(name[at : at + 4], "little") & self._mask for at in range(0, 4 * _ROWS, 4)]
