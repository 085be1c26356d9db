"""However the network cuts a stream, its text arrives to the letter, or a fault does."""

import asyncio
import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.backends.faults import Broken
from inference.backends.http11 import Connection
from inference.backends.interface import End, Piece, Timeouts
from inference.backends.openai import OpenAiStream
from inference.backends.streams import EventStream
from inference.backends.tgi import TgiStream


class Wire:
    """A connection on which the given blocks arrive, then nothing more."""

    def __init__(self, blocks: list[bytes]) -> None:
        # An empty read is the end: the HTTP client passes no empty chunk on.
        self._blocks = [block for block in blocks if block]

    async def read(self, _timeout_seconds: float) -> bytes:
        return self._blocks.pop(0) if self._blocks else b""

    def received(self) -> bytes:
        return b""

    def release(self) -> None:
        """Nothing is held."""

    def abort(self) -> None:
        """Nothing is held."""


def tgi_stream(wire: Wire) -> EventStream:
    return TgiStream(cast(Connection, wire), Timeouts())


def openai_stream(wire: Wire) -> EventStream:
    async def count() -> int:
        return 7

    return OpenAiStream(cast(Connection, wire), Timeouts(), asked_for="m", running_usage=False, count=count)


def tgi_events(texts: list[str]) -> list[Any]:
    events: list[Any] = [
        {"token": {"id": 1, "text": text, "logprob": -1.0, "special": False}} for text in texts
    ]
    ending = {"finish_reason": "eos_token", "generated_tokens": len(texts) + 1, "input_length": 7}
    end = {"token": {"id": 2, "text": "</s>", "logprob": -1.0, "special": True}, "details": ending}
    return [*events, end]


def openai_events(texts: list[str]) -> list[Any]:
    chunks: list[Any] = [
        {"model": "m", "choices": [{"text": text, "finish_reason": None}]} for text in [*texts, ""]
    ]
    chunks[-1]["choices"][0]["finish_reason"] = "stop"
    usage = {"prompt_tokens": 7, "completion_tokens": len(texts) + 1}
    return [*chunks, {"model": "m", "choices": [], "usage": usage}]


PROTOCOLS = [(tgi_stream, tgi_events), (openai_stream, openai_events)]
Opens, Makes = Callable[[Wire], EventStream], Callable[[list[str]], list[Any]]
# Characters of one to four bytes, joined and combining ones, what JSON escapes, what lines are cut at.
TEXTS = st.lists(
    st.text(st.sampled_from('aé€🐦\u200d👩\u0301"\\\n\r\u2028\0:'), max_size=4) | st.text(max_size=3),
    max_size=12,
)
LINE_ENDS = st.sampled_from(["\n", "\r\n"])


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The bytes, cut at these places, of which some may be the same: an empty block."""
    borders = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:stop] for start, stop in pairwise(borders)]


def written(events: list[Any], line_end: str, *, escaped: bool) -> bytes:
    """The events as a server may write them: characters as they are or escaped, comments in between."""
    lines = []
    for event in events:
        text = event if isinstance(event, str) else json.dumps(event, ensure_ascii=escaped)
        lines.append(f": keep-alive{line_end}{line_end}data: {text}{line_end}{line_end}")
    return "".join(lines).encode("utf-8", "replace")


async def drained(stream: EventStream) -> tuple[str, End | None, BaseException | None]:
    """The text of a stream, its end and its fault."""
    text = ""
    try:
        while isinstance(event := await stream.next(), Piece):
            text += "" if event.special else event.text
    except Broken as fault:
        return text, None, fault
    return text, event, None


@pytest.mark.parametrize(("opens", "makes"), PROTOCOLS)
@settings(deadline=None)
@given(
    texts=TEXTS, places=st.lists(st.integers(0, 4000), max_size=40), line_end=LINE_ENDS, escaped=st.booleans()
)
def test_a_stream_cut_anywhere_says_the_same(
    opens: Opens, makes: Makes, texts: list[str], places: list[int], line_end: str, escaped: bool
) -> None:
    data = written(makes(texts), line_end, escaped=escaped)
    text, end, fault = asyncio.run(drained(opens(Wire(cut(data, places)))))
    assert fault is None
    assert text == "".join(texts)
    assert end == End("eos_token", 7, len(texts) + 1)


@pytest.mark.parametrize(("opens", "makes"), PROTOCOLS)
@settings(deadline=None)
@given(texts=TEXTS)
def test_a_stream_that_comes_byte_by_byte_says_the_same(opens: Opens, makes: Makes, texts: list[str]) -> None:
    data = written(makes(texts), "\n", escaped=False)
    text, _, fault = asyncio.run(drained(opens(Wire([bytes([byte]) for byte in data]))))
    assert (text, fault) == ("".join(texts), None)


MALFORMED = ["{oops", "[]", "7", "null", '{"token": {}}', '{"choices": [{}]}', '{"token": {"text": 5}}',
             '{"choices": [{"text": null}]}', '{"token": {"text": "\\ud83d", "special": false}}',
             '{"choices": [{"text": "\\ud83d"}]}']  # fmt: skip


@pytest.mark.parametrize(("opens", "makes"), PROTOCOLS)
@settings(deadline=None)
@given(
    texts=TEXTS,
    malformed=st.sampled_from(MALFORMED),
    place=st.integers(0, 12),
    places=st.lists(st.integers(0, 4000), max_size=20),
)
def test_a_malformed_event_ends_the_text_exactly_before_it(
    opens: Opens, makes: Makes, texts: list[str], malformed: str, place: int, places: list[int]
) -> None:
    place = min(place, len(texts))
    events = makes(texts)
    events.insert(place, malformed)
    text, end, fault = asyncio.run(drained(opens(Wire(cut(written(events, "\n", escaped=False), places)))))
    assert (end, type(fault)) == (None, Broken)
    assert text == "".join(texts[:place])


@pytest.mark.parametrize(("opens", "makes"), PROTOCOLS)
@settings(deadline=None)
@given(texts=TEXTS, broken_off=st.integers(0, 4000))
def test_a_stream_that_breaks_off_says_a_beginning_and_that_it_broke_off(
    opens: Opens, makes: Makes, texts: list[str], broken_off: int
) -> None:
    data = written(makes(texts), "\n", escaped=False)
    data = data[: broken_off % len(data)]
    text, end, fault = asyncio.run(drained(opens(Wire([data]))))
    assert "".join(texts).startswith(text)
    assert (end is None) == isinstance(fault, Broken)
    assert end is None or text == "".join(texts)
