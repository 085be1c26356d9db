"""Cutting a stream into parts."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from kernel.storage.uploads import gather


@given(chunks=st.lists(st.binary(max_size=40), max_size=20), size=st.integers(1, 50))
def test_the_parts_are_the_same_bytes_in_equal_pieces(chunks: list[bytes], size: int) -> None:
    parts = list(gather(chunks, size))
    assert b"".join(parts) == b"".join(chunks)
    assert all(len(part) == size for part in parts[:-1])
    assert all(0 < len(part) <= size for part in parts)


def test_parts_come_before_the_stream_ends() -> None:
    taken: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            taken.append(1)
            yield b"x" * 10

    assert next(gather(endless(), 25)) == b"x" * 25
    assert len(taken) == 3
