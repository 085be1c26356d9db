"""From token ids to text that is never cut inside a character."""

import codecs
from collections.abc import Mapping


class Joiner:
    """Joins the bytes of tokens into text, holding back the first bytes of an unfinished character."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, piece: bytes) -> str:
        """Return the text that `piece` completes: empty while a character is unfinished."""
        return self._decoder.decode(piece)


def split_fragments(
    whole: bytes, count: int, last_id: int, fragments: Mapping[int, bytes]
) -> list[int] | None:
    """Return `count` token ids ending in `last_id` whose bytes join to `whole`, or None when there are none.

    llama.cpp streams one id for a character made of several byte tokens: the last. The others follow
    from the bytes; where several splits fit, the one with the longest first token is taken, which is
    how byte-pair encoding merges.
    """
    last = fragments.get(last_id)
    if last is None or not whole.endswith(last):
        return None
    by_bytes = {piece: i for i, piece in fragments.items()}
    front = _split(whole[: len(whole) - len(last)], count - 1, by_bytes)
    return None if front is None else [*front, last_id]


def _split(whole: bytes, count: int, by_bytes: Mapping[bytes, int]) -> list[int] | None:
    if count == 0:
        return [] if not whole else None
    for size in range(len(whole) - count + 1, 0, -1):
        first = by_bytes.get(whole[:size])
        if first is None:
            continue
        rest = _split(whole[size:], count - 1, by_bytes)
        if rest is not None:
            return [first, *rest]
    return None
