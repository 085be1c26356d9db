"""The names and bytes of entries, how often they are asked for, and what stays in memory."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.backends.interface import Alternative, BackendAddress, End, GenerationCall, Piece
from inference.gateway.cache.hot import Hot, Kept
from inference.gateway.cache.naming import Question, canonical, name_of
from inference.gateway.cache.recording import Recording, Unreadable, opened, sealed
from inference.gateway.cache.secret import keys_of, open_secret, seal_secret, sealing_key, secret_of
from inference.gateway.cache.sketch import Sketch
from inference.gateway.entries import Deployment
from kernel.crypto.errors import CiphertextAltered
from kernel.crypto.values import KeyEncryptionKey

KEYS = keys_of(b"s" * 32)
NAME = b"n" * 32
DEPLOYMENT = Deployment(
    alias="support",
    deployment_id=str(uuid4()),
    model_version_id="",
    created_at=1,
    state="ready",
    digest="ab" * 32,
    adapter_id=None,
    backends=(BackendAddress("tgi", "http://127.0.0.1:1"),),
    chat_template="{{ messages }}",
    bos_token="",
    eos_token="",
    context_tokens=2048,
    default_max_tokens=None,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
amounts = st.sampled_from([0, 0.0, -0.0, 1, 1.0, 0.5, 0.7])
schemas = st.none() | st.dictionaries(
    texts, st.integers(0, 3) | texts | st.lists(texts, max_size=2), max_size=3
)
calls = st.builds(
    GenerationCall,
    prompt=texts,
    adapter_id=st.none() | st.sampled_from(["a", "b"]),
    max_new_tokens=st.integers(1, 3),
    temperature=amounts,
    top_p=amounts,
    frequency_penalty=amounts,
    seed=st.none() | st.integers(-1, 1),
    stop=st.lists(st.sampled_from(["x", "y", ""]), max_size=3).map(tuple),
    top_logprobs=st.integers(0, 1),
    json_schema=schemas,
)


def thing(call: GenerationCall) -> tuple[Any, ...]:
    """What a call asks for, in other words than the code's."""
    drawn: tuple[Any, ...] = (call.temperature, call.top_p, call.seed)
    schema = None if call.json_schema is None else orjson.dumps(call.json_schema)
    return (
        (call.prompt, call.adapter_id, call.max_new_tokens, call.top_logprobs, schema),
        call.frequency_penalty,
        frozenset(call.stop),
        "greedy" if 0 in drawn[:2] else drawn,
    )


@st.composite
def pairs(draw: Callable[[Any], Any]) -> tuple[GenerationCall, GenerationCall]:
    """Two calls that agree in all but a few places, so that both answers to "the same?" are common."""
    one, other = draw(calls), draw(calls)
    names = [field.name for field in fields(GenerationCall)]
    taken = draw(st.sets(st.sampled_from(names), max_size=3))
    return one, replace(one, **{name: getattr(other, name) for name in taken})


@given(pairs())
def test_two_calls_have_one_name_exactly_when_they_ask_for_the_same(
    pair: tuple[GenerationCall, GenerationCall],
) -> None:
    names = [name_of(Question("project", DEPLOYMENT, call), KEYS.lookup) for call in pair]
    assert (names[0] == names[1]) == (thing(pair[0]) == thing(pair[1]))


def test_no_field_of_a_call_is_left_out() -> None:
    call = GenerationCall(prompt="p", adapter_id=None, max_new_tokens=1)
    document = orjson.loads(canonical(Question("project", DEPLOYMENT, call)))
    assert set(document[-1]) == {field.name for field in fields(GenerationCall)}


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "cd" * 32},
        {"adapter_id": "adapter-x"},
        {"base_model": "another"},
        {"chat_template": "{{ messages[0] }}"},
    ],
)
def test_the_model_is_in_the_name_and_its_alias_is_not(change: dict[str, Any]) -> None:
    call = GenerationCall(prompt="p", adapter_id=None, max_new_tokens=1)
    asked = Question("project", DEPLOYMENT, call)
    assert canonical(replace(asked, deployment=replace(DEPLOYMENT, **change))) != canonical(asked)
    assert canonical(replace(asked, deployment=replace(DEPLOYMENT, alias="x"))) == canonical(asked)
    assert canonical(replace(asked, choice=1)) != canonical(asked)
    assert canonical(replace(asked, project_id="another")) != canonical(asked)


pieces = st.builds(
    Piece,
    text=texts,
    special=st.booleans(),
    logprob=st.none() | st.floats(-50, 0),
    top=st.lists(
        st.builds(Alternative, texts, st.floats(-50, 0), st.none() | st.integers(0, 9), st.booleans()),
        max_size=2,
    ).map(tuple),
    id=st.none() | st.integers(0, 9),
    last=st.booleans(),
    tokens=st.integers(0, 4),
)
recordings = st.builds(
    Recording,
    pieces=st.lists(pieces, max_size=30).map(tuple),
    end=st.builds(
        End, st.sampled_from(["length", "eos_token", "stop_sequence"]), st.integers(0, 9), st.integers(0, 9)
    ),
    made_at=st.integers(0, 2**33),
)


@given(recordings)
def test_what_is_opened_is_what_was_sealed(recording: Recording) -> None:
    assert opened(sealed(recording, KEYS, NAME), KEYS, NAME) == recording


def test_every_field_of_what_a_server_sends_is_kept() -> None:
    assert Piece._fields == ("text", "special", "logprob", "top", "id", "last", "tokens")
    assert {one.name for one in fields(End)} == {"reason", "prompt_tokens", "completion_tokens"}


RECORDING = Recording((Piece("hello", False, -0.5),) * 100, End("eos_token", 3, 100), 1)


@given(st.data())
def test_not_one_bit_of_an_entry_may_be_another(data: st.DataObject) -> None:
    entry = bytearray(sealed(RECORDING, KEYS, NAME))
    entry[data.draw(st.integers(0, len(entry) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(Unreadable):
        opened(bytes(entry), KEYS, NAME)
    with pytest.raises(Unreadable):
        opened(sealed(RECORDING, KEYS, NAME), KEYS, b"m" * 32)
    with pytest.raises(Unreadable):
        opened(sealed(RECORDING, KEYS, NAME), keys_of(b"t" * 32), NAME)
    with pytest.raises(Unreadable):
        opened(b"", KEYS, NAME)


def test_an_entry_is_packed_where_that_is_smaller() -> None:
    assert len(sealed(RECORDING, KEYS, NAME)) < 300


def test_a_secret_follows_from_the_key_the_organization_and_the_generation() -> None:
    key, organization_id = KeyEncryptionKey(uuid4(), b"k" * 32), uuid4()
    made = {
        secret_of(key, organization_id, 1),
        secret_of(key, organization_id, 2),
        secret_of(key, uuid4(), 1),
        secret_of(KeyEncryptionKey(key.key_id, b"l" * 32), organization_id, 1),
    }
    assert len(made) == 4
    assert secret_of(key, organization_id, 1) in made


def test_a_secret_opens_under_its_pepper_only() -> None:
    organization_id = UUID(int=7)
    secret = seal_secret(sealing_key(b"p" * 32), b"x" * 32, organization_id, 3)
    assert b"x" * 8 not in secret
    assert open_secret(sealing_key(b"p" * 32), secret, organization_id, 3) == b"x" * 32
    for pepper, owner, generation in (
        (b"q" * 32, organization_id, 3),
        (b"p" * 32, UUID(int=8), 3),
        (b"p" * 32, organization_id, 4),
    ):
        with pytest.raises(CiphertextAltered):
            open_secret(sealing_key(pepper), secret, owner, generation)


CALL = GenerationCall(prompt="", adapter_id=None, max_new_tokens=1)


@given(st.lists(st.integers(0, 20), max_size=200))
def test_the_sketch_never_counts_too_little_and_forgets(asked: list[int]) -> None:
    sketch = Sketch(width_bits=8)
    names = {number: name_of(Question(str(number), DEPLOYMENT, CALL), KEYS.lookup) for number in range(21)}
    for number in asked:
        sketch.note(names[number])
    for number, name in names.items():
        assert sketch.estimate(name) >= min(15, asked.count(number))


def test_the_sketch_forgets_what_was_asked_long_ago() -> None:
    sketch = Sketch(width_bits=8)
    for _ in range(10):
        sketch.note(NAME)
    assert sketch.estimate(NAME) == 10
    for number in range(10 << 8):
        sketch.note(number.to_bytes(4, "big") * 8)
    assert sketch.estimate(NAME) < 10 + 5


def kept(length: int, *, ends_at: float = 100.0, tokens: float = 10.0) -> Kept:
    return Kept(b"x" * length, ends_at, tokens)


def test_memory_stays_within_its_bytes_and_no_organization_takes_anothers_part() -> None:
    hot, names = Hot(max_bytes=80_000, sketch=Sketch()), [number.to_bytes(32, "big") for number in range(400)]
    assert hot.put("quiet", names[0], kept(1000))
    for name in names:
        hot.put("loud", name, kept(1000))
    assert hot.total_bytes <= 10_000 + 1_250
    assert hot.get("quiet", names[0], now=0) is not None
    for number in range(100):
        hot.put(f"organization {number}", names[1], kept(1000))
        assert hot.total_bytes <= 80_000
    assert not hot.put("large", names[1], kept(20_000))


def test_memory_keeps_what_is_asked_often_before_what_is_asked_once() -> None:
    sketch = Sketch()
    hot = Hot(max_bytes=8 * 2500, sketch=sketch)
    names = [uuid4().bytes * 2 for _ in range(3)]
    for _ in range(5):
        sketch.note(names[0])
        sketch.note(names[1])
    sketch.note(names[2])
    assert hot.put("one", names[0], kept(1000))
    assert hot.put("one", names[1], kept(1000))
    assert not hot.put("one", names[2], kept(1000))
    # Unless giving it again saves so much more.
    assert hot.put("one", names[2], kept(1000, tokens=500))


def test_memory_forgets_at_the_end_and_on_demand() -> None:
    hot = Hot(max_bytes=80_000, sketch=Sketch())
    hot.put("one", NAME, kept(100, ends_at=10))
    assert hot.get("one", NAME, now=9) == b"x" * 100
    assert hot.get("two", NAME, now=9) is None
    assert hot.get("one", NAME, now=10) is None
    assert hot.total_bytes == 0
