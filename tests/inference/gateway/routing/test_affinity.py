"""The memory of prompts' beginnings."""

from hypothesis import given
from hypothesis import strategies as st

from inference.gateway.routing.affinity import BLOCK_CHARACTERS, PrefixIndex
from tests.inference.gateway.routing.clockwork import FakeClock

names = PrefixIndex.names
BLOCKS = st.lists(st.sampled_from("abc"), max_size=8)


def prompt(blocks: list[str]) -> str:
    return "".join(letter * BLOCK_CHARACTERS for letter in blocks)


@given(st.lists(st.tuples(BLOCKS, st.sampled_from("xyz")), max_size=12), BLOCKS)
def test_a_match_is_the_longest_beginning_that_a_replica_has_read(
    read: list[tuple[list[str], str]], asked: list[str]
) -> None:
    index = PrefixIndex(clock=FakeClock())
    longest: dict[str, int] = {}
    for blocks, replica in read:
        index.note(names("m", prompt(blocks)), replica)
        shared = next(
            (place for place, pair in enumerate(zip(blocks, asked, strict=False)) if pair[0] != pair[1]),
            min(len(blocks), len(asked)),
        )
        longest[replica] = max(longest.get(replica, 0), shared)
    wanted = {replica: blocks * BLOCK_CHARACTERS for replica, blocks in longest.items() if blocks}
    assert index.matches(names("m", prompt(asked))) == wanted


def test_other_models_and_organizations_read_other_prompts() -> None:
    index = PrefixIndex(clock=FakeClock())
    text = prompt(["a", "b"])
    index.note(names(("adapter-1", "org"), text), "x")
    assert index.matches(names(("adapter-2", "org"), text)) == {}
    assert index.matches(names(("adapter-1", "other"), text)) == {}
    assert index.matches(names(("adapter-1", "org"), text)) == {"x": len(text)}


def test_it_is_bounded_and_forgets_ends_before_beginnings() -> None:
    index = PrefixIndex(clock=FakeClock(), capacity=4)
    index.note(names("m", prompt(["a", "b", "c"])), "x")
    index.note(names("m", prompt(["b", "b"])), "x")
    assert len(index) == 4
    assert index.matches(names("m", prompt(["a", "b", "c"]))) == {"x": 2 * BLOCK_CHARACTERS}


def test_what_was_read_long_ago_is_not_believed() -> None:
    clock = FakeClock()
    index = PrefixIndex(clock=clock, lasting_seconds=60)
    text = names("m", prompt(["a"]))
    index.note(text, "x")
    clock.pass_(61)
    assert index.matches(text) == {}


def test_a_replica_that_is_gone_is_forgotten() -> None:
    index = PrefixIndex(clock=FakeClock())
    text = names("m", prompt(["a"]))
    index.note(text, "x")
    index.note(text, "y")
    index.forget("x")
    assert index.matches(text) == {"y": BLOCK_CHARACTERS}
    index.forget("y")
    assert len(index) == 0
