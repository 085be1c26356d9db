"""What the platform signs about an audit log: texts of lines, each a word and its value.

    loomworks audit checkpoint 1
    organization 0190a1b2-…
    entries 1234
    root (SHA-256 of the Merkle tree of the entries' hashes, hexadecimal)
    last (hash of the last of these entries, hexadecimal)
    time 2026-11-27T04:30:00.000000Z

A statement holds for ever: a later checkpoint of the same organization has these entries at the same places.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

CHECKPOINT = "loomworks audit checkpoint 1"
EXPORT = "loomworks audit export 1"
EXPORT_END = "loomworks audit export end 1"


@dataclass(frozen=True)
class Checkpoint:
    """How many entries a log had at a time, and the root that stands for every one of them."""

    organization_id: UUID
    entries: int
    root: bytes
    last_hash: bytes
    made_at: datetime

    def document(self) -> bytes:
        """What is signed."""
        lines = (
            CHECKPOINT,
            f"organization {self.organization_id}",
            f"entries {self.entries}",
            f"root {self.root.hex()}",
            f"last {self.last_hash.hex()}",
            f"time {moment(self.made_at)}",
        )
        return "".join(f"{line}\n" for line in lines).encode()


def read_checkpoint(document: bytes) -> Checkpoint:
    """The checkpoint of a document. Raises `ValueError` unless it is written exactly so."""
    head, *lines = document.decode("ascii").split("\n")
    values = dict(line.split(" ", 1) for line in lines if line)
    found = Checkpoint(
        organization_id=UUID(values.get("organization", "")),
        entries=int(values.get("entries", "")),
        root=bytes.fromhex(values.get("root", "")),
        last_hash=bytes.fromhex(values.get("last", "")),
        made_at=read_moment(values.get("time", "")),
    )
    if head != CHECKPOINT or found.document() != document:
        raise ValueError("It is not a checkpoint as it is written.")
    return found


def export_end(organization_id: UUID, lines: int, digest: bytes) -> bytes:
    """What is signed at the end of an export: how many lines come before, and their SHA-256."""
    words = (EXPORT_END, f"organization {organization_id}", f"lines {lines}", f"sha256 {digest.hex()}")
    return "".join(f"{line}\n" for line in words).encode()


def moment(at: datetime) -> str:
    """RFC 3339 in UTC, to the microsecond."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_moment(text: str) -> datetime:
    """The time of such a text. Raises `ValueError`."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
