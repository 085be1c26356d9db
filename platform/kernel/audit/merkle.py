"""The Merkle tree of RFC 6962 (section 2.1), grown leaf by leaf in logarithmic memory.

A part of the tree that nobody needs to see is stood for by the roots of its largest whole subtrees, so that
its entries can be left out of an export and its root still be computed.
"""

from dataclasses import dataclass, field
from hashlib import sha256

NODE_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()


@dataclass(frozen=True)
class Node:
    """The root of a whole subtree of 2^level leaves."""

    level: int
    hash: bytes


@dataclass
class Range:
    """The leaves from `begin` on, `end` excluded, as the fewest whole subtrees. From 0 on, it has a root."""

    begin: int = 0
    end: int = field(default=-1)
    nodes: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.end < 0:
            self.end = self.begin

    def add(self, node: Node) -> None:
        """Append a subtree. Raises `ValueError` where one of its size cannot begin."""
        if node.level < 0 or len(node.hash) != NODE_BYTES or self.end % (1 << node.level):
            raise ValueError("A subtree of this size cannot begin here.")
        self.end += 1 << node.level
        self.nodes.append(node)
        while len(self.nodes) > 1 and self._merges(self.nodes[-2], self.nodes[-1]):
            right, left = self.nodes.pop(), self.nodes.pop()
            self.nodes.append(Node(left.level + 1, node_hash(left.hash, right.hash)))

    def add_leaf(self, content: bytes) -> None:
        """Append a leaf with this content."""
        self.add(Node(0, leaf_hash(content)))

    def root(self) -> bytes:
        """The root of the tree. Raises `ValueError` for a part that does not begin at 0."""
        if self.begin:
            raise ValueError("Only the whole tree has a root.")
        if not self.nodes:
            return EMPTY_ROOT
        *rest, last = self.nodes
        root = last.hash
        for node in reversed(rest):
            root = node_hash(node.hash, root)
        return root

    def _merges(self, left: Node, right: Node) -> bool:
        size = 2 << left.level
        return left.level == right.level and self.end - size >= self.begin and self.end % size == 0


def tree_of(size: int, hashes: bytes) -> Range:
    """The tree of `size` leaves from the hashes of its whole subtrees, the largest first, joined together."""
    levels = [level for level in reversed(range(size.bit_length())) if size >> level & 1]
    pieces = [hashes[at : at + NODE_BYTES] for at in range(0, len(hashes), NODE_BYTES)]
    return Range(0, size, [Node(level, piece) for level, piece in zip(levels, pieces, strict=True)])


def joined(tree: Range) -> bytes:
    """The hashes of the tree's whole subtrees, the largest first."""
    return b"".join(node.hash for node in tree.nodes)


def leaf_hash(content: bytes) -> bytes:
    """The hash of a leaf."""
    return sha256(b"\x00" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of what joins two subtrees."""
    return sha256(b"\x01" + left + right).digest()
