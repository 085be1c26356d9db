"""Answers that are made while they are sent."""

from collections.abc import Iterator

from kernel.api.streams import CHUNK_BYTES, Streamed, in_chunks


def pieces(made: list[int]) -> Iterator[bytes]:
    for number in range(5):
        made.append(number)
        yield b"%d" % number


async def test_under_asgi_a_piece_is_made_when_it_is_sent() -> None:
    made: list[int] = []
    sent = aiter(Streamed(pieces(made)))
    assert await anext(sent) == b"0"
    assert made == [0]
    assert b"".join([piece async for piece in sent]) == b"1234"


def test_under_wsgi_too() -> None:
    made: list[int] = []
    sent = iter(Streamed(pieces(made)))
    assert next(sent) == b"0"
    assert made == [0]


def test_lines_are_joined_to_chunks() -> None:
    line = b"x" * (CHUNK_BYTES // 4)
    chunks = list(in_chunks(iter([line] * 9)))
    assert [len(chunk) // len(line) for chunk in chunks] == [4, 4, 1]
    assert list(in_chunks(iter([]))) == []
