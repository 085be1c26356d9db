"""Personal data is found as it is written, and nothing else is."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.gateway.policy.document import read_policy
from inference.gateway.policy.guarding import TextGuard
from inference.gateway.policy.notes import GuardNotes
from inference.gateway.policy.pii import KINDS, found, passes_luhn

PERSONAL = [
    ("email", "anna.schmidt+x@mail.example.co.uk"),
    ("email", "o_brien@firma-süd.de"),
    ("phone", "+49 170 1234567"),
    ("phone", "+1 (415) 555-2671"),
    ("phone", "0170 / 1234567"),
    ("phone", "(030) 901820-12"),
    ("phone", "415-555-2671"),
    ("iban", "DE89 3704 0044 0532 0130 00"),
    ("iban", "de89370400440532013000"),
    ("iban", "GB29 NWBK 6016 1331 9268 19"),
    ("iban", "NO9386011117947"),
    ("card", "4111 1111 1111 1111"),
    ("card", "5500-0000-0000-0004"),
    ("card", "378282246310005"),
    ("ip", "192.168.17.4"),
    ("ip", "2001:db8::8a2e:370:7334"),
]
HARMLESS = [
    "It was 12:30:45 on 2024-03-17, or 17.03.2024.",
    "Version 1.2.3 follows 1.2.2, and 10.15.7.2.1 is none.",
    "Order 4111 1111 1111 1112 has 1,234,567 parts at 3.14159 each.",
    "DE89 3704 1044 1532 1130 01 has a wrong check digit.",
    "Call std::vector, a::b, or @someone; ask for room 1024.",
    "In 1969, 600 million people watched; 2 in 3 remembered.",
    "Pi is 3.14159265358979 and e is 2.718281828.",
]


@pytest.mark.parametrize(("kind", "text"), PERSONAL)
@pytest.mark.parametrize("frame", ["{}", "Write to {}, please.", "THE CODE: {}\nAND THEN", "({})"])
def test_personal_data_is_found_whole(kind: str, text: str, frame: str) -> None:
    whole = frame.format(text)
    spans = found(whole, frozenset({kind}))
    assert [whole[span.start : span.end] for span in spans] == [text]


def test_what_begins_within_a_number_hides_nothing_behind_it() -> None:
    iban = next(text for kind, text in PERSONAL if kind == "iban")
    for number in ("415-555-2671", "4111 1111 1111 1111"):
        text = f"{iban} {number}, "
        assert [text[one.start : one.end] for one in found(text, frozenset(KINDS))] == [iban, number]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_it_is_left(text: str) -> None:
    assert found(text, frozenset(KINDS)) == []


def test_a_card_is_found_among_further_numbers() -> None:
    text = "12 4111 1111 1111 1111 123"
    assert [text[one.start : one.end] for one in found(text, frozenset({"card"}))] == ["4111 1111 1111 1111"]


def test_one_wrong_digit_fails_the_check_of_cards() -> None:
    assert passes_luhn("4111111111111111")
    assert not passes_luhn("4111111111111112")


POLICY = read_policy(
    {
        "pii": {"answer": "redact"},
        "denied_words": {"words": ["acme", "Acme Rocket", "c++", "straße"], "answer": "redact"},
    }
)


def guarded(pieces: list[str]) -> str:
    guard = TextGuard(POLICY, "answer", GuardNotes())
    return "".join([guard.feed(piece) for piece in pieces]) + guard.rest()


snippets = st.sampled_from(
    [text for _, text in PERSONAL]
    + ["acme", "ACME  rocket", "C++", "STRAßE", "acm", "Acmes", "Acme Rock", "hello", "I", "A1", "(", "+"]
    + ["12", "4111", "1", "00", "@", ".", ":", "::1", "a.b", "x@y", "DE89", "\n", "-", "/", ")", "THE"]
)
texts = st.lists(st.tuples(snippets, st.sampled_from([" ", "", "  ", ", ", "\n"])), max_size=12).map(
    lambda parts: "".join(text + gap for text, gap in parts)
)


@settings(max_examples=400, deadline=None)
@given(texts, st.data())
def test_however_text_arrives_the_same_is_shown(text: str, draws: st.DataObject) -> None:
    cuts = sorted(draws.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    places = [0, *cuts, len(text)]
    pieces = [text[start:end] for start, end in pairwise(places)]
    assert guarded(pieces) == guarded([text])
    assert guarded(list(text)) == guarded([text])


@pytest.mark.parametrize(("kind", "text"), PERSONAL)
def test_letter_by_letter_nothing_of_it_is_shown(kind: str, text: str) -> None:
    assert guarded(list(f"It is {text} indeed.")) == f"It is [{kind.upper()}] indeed."


def test_ordinary_text_is_held_back_by_a_word_at_most() -> None:
    guard = TextGuard(POLICY, "answer", GuardNotes())
    held = 0
    for piece in ["The", " quick", " brown", " fox", " had", " 7", " eggs", " in", " May", "."]:
        held += len(piece) - len(guard.feed(piece))
        assert held <= 6
