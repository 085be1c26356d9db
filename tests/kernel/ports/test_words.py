"""Whether a text names somebody: whole words and addresses, however they are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.ids import uuid7
from kernel.ports.erasure import Fate, Subject, Trace


def subject(*words: str) -> Subject:
    return Subject(organization_id=uuid7(), words=words)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("ann@house.example", "Write to ANN@House.Example."),
        ("ann@house.example", "<ann@house.example>"),
        ("Ann Lee", "ann\n\tLEE's order"),
        ("Straße 5", "STRASSE 5"),
        ("Jürgen", "Ju\u0308rgen"),
        ("+49 30 1234", "call +49  30 1234 now"),
    ],
)
def test_it_is_found(word: str, text: str) -> None:
    assert subject("nothing else", word).is_named_in(text)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("ann@house.example", "joe.ann@house.example"),
        ("ann@house.example", "ann@house.examples"),
        ("ann@house.example", "annxhouse.example"),
        ("Ann Lee", "Joann Lee"),
        ("Ann Lee", "Ann Leek"),
        ("1234", "123456"),
    ],
)
def test_what_only_resembles_it_is_not(word: str, text: str) -> None:
    assert not subject(word).is_named_in(text)


def test_without_words_nobody_is_named() -> None:
    assert not subject().is_named_in("anything")


@given(st.text(alphabet=st.characters(categories=("L", "N")), min_size=4), st.text())
def test_a_word_between_spaces_is_always_found(word: str, around: str) -> None:
    assert subject(word).is_named_in(f"{around} {word} {around}")


def test_a_trace_survives_being_kept_in_a_plan() -> None:
    trace = Trace(kind="rows", place="file-1", count=2, fate=Fate.REWRITTEN, details={"a": 1})
    assert Trace.of_json(trace.as_json()) == trace
