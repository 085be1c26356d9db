"""Bytes become text without a character ever being cut."""

from hypothesis import given
from hypothesis import strategies as st

from inference.engine.base import Vocabulary
from inference.engine.text import Joiner, split_fragments
from inference.engine.tokens import TokenReader

FRAGMENTS = {1: b"\xf0\x9f", 2: b"\x8c", 3: b"\x9f", 4: b"\xf0", 5: b"\x9f\x8c"}
VOCABULARY = Vocabulary(special={9: "<end>"}, end_ids=frozenset({9}), fragments=FRAGMENTS)


@given(st.text(), st.integers(1, 5))
def test_any_text_cut_into_bytes_comes_back_whole(text: str, size: int) -> None:
    raw, joiner = text.encode(), Joiner()
    pieces = [joiner.push(raw[i : i + size]) for i in range(0, len(raw), size)]
    assert "".join(pieces) == text
    assert "\ufffd" in text or all("\ufffd" not in piece for piece in pieces)


def test_the_byte_tokens_of_a_character_are_found_again_longest_first() -> None:
    assert split_fragments("🌟".encode(), 3, 3, FRAGMENTS) == [1, 2, 3]


def test_byte_tokens_that_do_not_add_up_are_not_invented() -> None:
    assert split_fragments("🌟".encode(), 2, 3, FRAGMENTS) is None
    assert split_fragments("🌟".encode(), 3, 77, FRAGMENTS) is None


def test_a_character_of_three_tokens_is_told_as_three_tokens() -> None:
    entry = {"id": 3, "bytes": list("🌟".encode()), "logprob": -1.0, "top_logprobs": []}
    tokens = list(
        TokenReader(VOCABULARY, 0).read({"tokens_predicted": 3, "completion_probabilities": [entry]})
    )
    assert [(token.id, token.text, token.logprob) for token in tokens] == [
        (1, "", None),
        (2, "", None),
        (3, "🌟", -1.0),
    ]


def test_a_control_token_has_its_name_and_ends_the_text() -> None:
    entry = {"id": 9, "bytes": [], "logprob": -0.5, "top_logprobs": []}
    reader = TokenReader(VOCABULARY, 0)
    (token,) = reader.read({"tokens_predicted": 1, "completion_probabilities": [entry]})
    assert (token.text, token.special, token.ends) == ("<end>", True, True)
