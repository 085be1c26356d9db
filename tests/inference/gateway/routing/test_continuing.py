"""However often servers die, what is told of an answer is each text once and each token once."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.backends.faults import BackendFault, Broken, CannotCount, OtherModel
from inference.backends.interface import End, GenerationCall, Piece
from inference.gateway.routing.continuing import MOST_CONTINUATIONS, Continuing

PROMPT = "Say: "
PROMPT_TOKENS = 3


class Server:
    """A model that answers with characters, each of so many tokens, and may die after some tokens."""

    def __init__(self, answer: list[tuple[str, int]], call: GenerationCall, dies_after: int | None) -> None:
        said = call.prompt.removeprefix(PROMPT)
        self.prompt_tokens: int | None = None
        self._left, self._given = call.max_new_tokens, 0
        self._dies_after = dies_after
        self._pieces = self._rest(answer, len(said))

    @staticmethod
    def _rest(answer: list[tuple[str, int]], said: int) -> Iterator[Piece]:
        for text, tokens in answer[said:]:
            for number in range(tokens):
                yield Piece(text if number == tokens - 1 else "", False, None)

    async def next(self) -> Piece | End:
        if self._dies_after == self._given:
            raise Broken("gone")
        if self._given == self._left:
            return End("length", 1_000, self._given)
        piece = next(self._pieces, None)
        if piece is None:
            return End("eos_token", 1_000, self._given)
        self._given += 1
        return piece

    def close(self) -> int:
        return 0

    async def rest(self) -> int:
        return 0


ANSWERS = st.lists(st.tuples(st.sampled_from("abé🐦"), st.integers(1, 4)), max_size=12)


@settings(deadline=None)
@given(
    answer=ANSWERS,
    deaths=st.lists(st.integers(0, 20), max_size=MOST_CONTINUATIONS),
    most=st.integers(1, 40),
)
def test_text_and_tokens_are_told_once(answer: list[tuple[str, int]], deaths: list[int], most: int) -> None:
    async def run() -> tuple[str, int, End]:
        left = list(deaths)

        async def onward(call: GenerationCall, fault: BackendFault) -> Server:
            return Server(answer, call, left.pop(0) if left else None)

        async def count() -> int:
            return PROMPT_TOKENS

        call = GenerationCall(prompt=PROMPT, adapter_id=None, max_new_tokens=most)
        stream = Continuing(await onward(call, Broken("")), call, onward, count=count, prompt_tokens=None)
        text, told = "", 0
        while isinstance(event := await stream.next(), Piece):
            text += event.text
            told += event.tokens
        return text, told, event

    text, told, end = asyncio.run(run())
    undisturbed = asyncio.run(
        heard(Server(answer, GenerationCall(prompt=PROMPT, adapter_id=None, max_new_tokens=most), None))
    )
    assert text == undisturbed[0]
    assert told == end.completion_tokens == undisturbed[1].completion_tokens
    assert end.reason == undisturbed[1].reason
    if end.prompt_tokens != 1_000:
        assert end.prompt_tokens == PROMPT_TOKENS


async def heard(server: Server) -> tuple[str, End]:
    text = ""
    while isinstance(event := await server.next(), Piece):
        text += event.text
    return text, event


@pytest.mark.parametrize("fault", [OtherModel("another"), CannotCount("no")])
async def test_only_a_servers_death_is_a_reason_to_go_on(fault: BackendFault) -> None:
    class Refusing(Server):
        async def next(self) -> Piece | End:
            raise fault

    async def never(call: GenerationCall, fault: BackendFault) -> Server:
        raise AssertionError

    async def count() -> int:
        return PROMPT_TOKENS

    call = GenerationCall(prompt=PROMPT, adapter_id=None, max_new_tokens=5)
    stream = Continuing(Refusing([], call, None), call, never, count=count, prompt_tokens=None)
    with pytest.raises(type(fault)):
        await stream.next()
