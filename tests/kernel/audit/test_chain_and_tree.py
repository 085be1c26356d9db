"""What is hashed, and the tree over it: as RFC 6962 and docs/audit.md say."""

from dataclasses import replace
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kernel.audit.canonical import NOTHING_BEFORE, canonical, entry_hash
from kernel.audit.merkle import Range, joined, leaf_hash, node_hash, tree_of
from kernel.audit.statements import Checkpoint, read_checkpoint
from tests.kernel.audit.ledger import BEGAN, ORGANIZATION, made_entry

LEAVES = st.lists(st.binary(max_size=4), max_size=40)


def root_by_definition(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word by word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(root_by_definition(leaves[:half]), root_by_definition(leaves[half:]))


def grown(leaves: list[bytes], begin: int = 0) -> Range:
    tree = Range(begin)
    for leaf in leaves:
        tree.add_leaf(leaf)
    return tree


@given(leaves=LEAVES)
def test_the_tree_grown_leaf_by_leaf_has_the_root_of_the_definition(leaves: list[bytes]) -> None:
    assert grown(leaves).root() == root_by_definition(leaves)


@given(leaves=LEAVES, cut=st.integers(0, 40), until=st.integers(0, 40))
def test_any_part_of_the_tree_can_be_stood_for_by_its_subtrees(
    leaves: list[bytes], cut: int, until: int
) -> None:
    cut = min(cut, len(leaves))
    until = min(max(cut, until), len(leaves))
    tree = grown(leaves[:cut])
    left_out = grown(leaves[cut:until], cut)
    assert len(left_out.nodes) <= 2 * max(1, (until - cut).bit_length())
    for node in left_out.nodes:
        tree.add(node)
    for leaf in leaves[until:]:
        tree.add_leaf(leaf)
    assert tree.root() == root_by_definition(leaves)


@given(leaves=LEAVES, later=LEAVES)
def test_a_kept_tree_grows_on(leaves: list[bytes], later: list[bytes]) -> None:
    kept = grown(leaves)
    tree = tree_of(kept.end, joined(kept))
    for leaf in later:
        tree.add_leaf(leaf)
    assert tree.root() == root_by_definition([*leaves, *later])


def test_a_subtree_begins_only_where_one_of_its_size_can() -> None:
    tree = grown([b"a"])
    pair = grown([b"b", b"c"]).nodes[0]
    with pytest.raises(ValueError, match="cannot begin here"):
        tree.add(pair)
    with pytest.raises(ValueError, match="Only the whole tree"):
        grown([b"a"], 1).root()


def test_the_bytes_of_an_entry_are_those_of_the_documentation() -> None:
    entry = made_entry(0, details={"b": "ü", "a": 1}, person=None, address_commitment=b"")
    raw = canonical(entry, 5, b"\x01" * 32)
    texts = ("user-1", "file.download", "file-0", "allowed", "req-0")
    expected = b"loomworks audit entry 1\n" + ORGANIZATION.bytes + (5).to_bytes(8, "big") + b"\x01" * 32
    expected += UUID(int=1).bytes + (1_772_323_200_000_000).to_bytes(8, "big")
    expected += b"".join(len(text).to_bytes(4, "big") + text.encode() for text in texts)
    expected += bytes(4) + bytes(4) + (16).to_bytes(4, "big") + '{"a":1,"b":"ü"}'.encode()
    assert raw == expected
    assert entry_hash(entry, 5, b"\x01" * 32) == sha256(expected).digest()


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
CHANGES = st.one_of(
    *(st.fixed_dictionaries({name: TEXT}) for name in ("actor", "action", "target", "outcome", "request_id")),
    st.fixed_dictionaries({"person": st.one_of(st.none(), st.uuids())}),
    st.fixed_dictionaries({"address_commitment": st.binary(max_size=40)}),
    st.fixed_dictionaries({"details": st.dictionaries(TEXT, st.one_of(TEXT, st.integers(), st.none()))}),
    st.fixed_dictionaries({"id": st.uuids()}),
    st.fixed_dictionaries({"organization_id": st.uuids()}),
)


@given(changes=CHANGES, sequence=st.integers(0, 3))
def test_no_two_entries_or_places_share_their_bytes(changes: dict[str, Any], sequence: int) -> None:
    entry = made_entry(1)
    other = replace(entry, **changes)
    assume((other, sequence) != (entry, 1))
    assert canonical(other, sequence, NOTHING_BEFORE) != canonical(entry, 1, NOTHING_BEFORE)


def test_a_checkpoint_is_read_back_and_nothing_like_it() -> None:
    checkpoint = Checkpoint(ORGANIZATION, 3, b"\x02" * 32, b"\x03" * 32, BEGAN)
    document = checkpoint.document()
    assert read_checkpoint(document) == checkpoint
    for wrong in (
        document + b"\n",
        document.replace(b"entries 3", b"entries 03"),
        document.replace(b"checkpoint 1", b"checkpoint 2"),
        document.replace(b"\nlast", b"\nextra 1\nlast"),
        b"",
    ):
        with pytest.raises(ValueError, match=r"."):
            read_checkpoint(wrong)
