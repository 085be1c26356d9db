"""An export of the audit log as JSON Lines: what each line says, in the writer and in the verifier.

Every line ends with `"link"`: the first 16 bytes of the SHA-256 of all lines so far, this one without its
link. So an altered line is told from its neighbours, whatever it holds.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from uuid import UUID

from kernel.audit.canonical import Entry, Link, canonical_json
from kernel.audit.merkle import Node
from kernel.audit.statements import EXPORT, moment, read_moment

FORMAT = "loomworks-audit-export/1"
LINK_DIGITS = 32
Line = dict[str, Any]


@dataclass
class Running:
    """The digest of the lines so far."""

    lines: int = 0
    digest: Any = field(default_factory=sha256)

    def add(self, body: bytes) -> bytes:
        """Take the next line's body, and answer its link."""
        self.lines += 1
        self.digest.update(body)
        link: str = self.digest.hexdigest()[:LINK_DIGITS]
        return link.encode()

    def written(self, line: Line) -> bytes:
        """The line as it is written."""
        body = canonical_json(line).encode()
        return body[:-1] + b',"link":"' + self.add(body) + b'"}\n'


def split(raw: bytes) -> tuple[bytes, bytes]:
    """The body and the link of a line as it was written. Raises `ValueError`."""
    body, mark, rest = raw.rpartition(b',"link":"')
    if not mark or len(rest) != LINK_DIGITS + 3 or not rest.endswith(b'"}\n'):
        raise ValueError("It has no link.")
    return body + b"}", rest[:LINK_DIGITS]


def entry_line(entry: Entry, link: Link, disclosed: tuple[bytes, str] | None) -> Line:
    """An entry with its seal. A disclosed address comes with the salt that its commitment was made with."""
    address: Line = {"commitment": entry.address_commitment.hex()} if entry.address_commitment else {}
    if disclosed:
        address |= {"salt": disclosed[0].hex(), "text": disclosed[1]}
    elif entry.address_commitment:
        address |= {"erased": True}
    return {
        "type": "entry",
        "sequence": link.sequence,
        "previous_hash": link.previous_hash.hex(),
        "hash": link.hash.hex(),
        "id": str(entry.id),
        "occurred_at": moment(entry.occurred_at),
        "actor": entry.actor,
        "person": str(entry.person) if entry.person else None,
        "action": entry.action,
        "target": entry.target,
        "outcome": entry.outcome,
        "request_id": entry.request_id,
        "details": entry.details,
        "address": address,
    }


def read_entry(line: Line, organization_id: UUID) -> tuple[Entry, Link]:
    """The entry of a line and its seal. Raises `ValueError`, `KeyError`, `TypeError`, `AttributeError`."""
    entry = Entry(
        organization_id=organization_id,
        id=UUID(line["id"]),
        occurred_at=read_moment(line["occurred_at"]),
        actor=line["actor"],
        action=line["action"],
        target=line["target"],
        outcome=line["outcome"],
        request_id=line["request_id"],
        person=UUID(line["person"]) if line["person"] else None,
        address_commitment=bytes.fromhex(line["address"].get("commitment", "")),
        details=line["details"],
    )
    hashes = bytes.fromhex(line["previous_hash"]), bytes.fromhex(line["hash"])
    return entry, Link(line["sequence"], *hashes)


def omitted_line(begin: int, end: int, nodes: Iterable[Node]) -> Line:
    """What stands for the entries from `begin` on, `end` excluded: the roots of their subtrees."""
    return {
        "type": "omitted",
        "from": begin,
        "to": end,
        "subtrees": [f"{node.level}:{node.hash.hex()}" for node in nodes],
    }


def read_nodes(line: Line) -> Iterator[Node]:
    """The subtrees of such a line. Raises `ValueError`, `KeyError`, `AttributeError`."""
    for text in line["subtrees"]:
        level, _, digits = text.partition(":")
        yield Node(int(level), bytes.fromhex(digits))


def signed_header(header: Line) -> bytes:
    """What of a header is signed: all but its signature."""
    signed = {name: value for name, value in header.items() if name != "signature"}
    return f"{EXPORT}\n{canonical_json(signed)}\n".encode()
