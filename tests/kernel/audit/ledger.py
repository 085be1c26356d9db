"""A log of entries made up in memory, exported as the platform would: for what needs no database."""

import base64
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from kernel.audit.canonical import NOTHING_BEFORE, Entry, Link, commitment, entry_hash
from kernel.audit.lines import FORMAT, Line, Running, entry_line, omitted_line, signed_header
from kernel.audit.merkle import Range
from kernel.audit.statements import Checkpoint, export_end, moment
from kernel.crypto import signing

ORGANIZATION = UUID("0190a1b2-0000-7000-8000-000000000001")
BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
SALT = bytes(range(16))


def made_entry(number: int, **changes: Any) -> Entry:
    """The entry of that number; one in three has an address."""
    told: dict[str, Any] = {
        "organization_id": ORGANIZATION,
        "id": UUID(int=number + 1),
        "occurred_at": BEGAN + timedelta(minutes=number, microseconds=number),
        "actor": "user-1",
        "action": "file.download",
        "target": f"file-{number}",
        "outcome": "allowed",
        "request_id": f"req-{number}",
        "person": UUID(int=7),
        "address_commitment": b"" if number % 3 else commitment(SALT, "10.0.0.1"),
        "details": {"number": number, "before": {"ü": None}, "after": [1.5, True]},
    }
    return Entry(**(told | changes))


@dataclass
class Ledger:
    """A chain of so many entries, and the checkpoints after these numbers of them."""

    size: int
    checkpoints_after: Collection[int] = ()
    shown: Collection[int] | None = None
    changes: Mapping[int, dict[str, Any]] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)

    def export(self) -> list[bytes]:
        """The lines."""
        running, omitted, tree = Running(), Range(), Range()
        written = [running.written(self._header())]
        for number in range(self.size):
            entry = made_entry(number, **self.changes.get(number, {}))
            link = self._chained(entry)
            tree.add_leaf(link.hash)
            if self.shown is not None and number not in self.shown:
                omitted.add_leaf(link.hash)
                continue
            if omitted.end > omitted.begin:
                written.append(running.written(self._omitted(omitted)))
            omitted = Range(number + 1)
            disclosed = (SALT, "10.0.0.1") if entry.address_commitment else None
            written.append(running.written(entry_line(entry, link, disclosed)))
            if number + 1 in self.checkpoints_after and number + 1 < self.size:
                written.append(running.written(self._checkpoint(tree, link)))
        if omitted.end > omitted.begin:
            written.append(running.written(self._omitted(omitted)))
        written.append(running.written(self._checkpoint(tree, self.links[-1])))
        signature = signing.sign(export_end(ORGANIZATION, running.lines, running.digest.digest()))
        end = {"type": "end", "lines": running.lines, **told(signature)}
        return [*written, running.written(end)]

    def _chained(self, entry: Entry) -> Link:
        previous = self.links[-1].hash if self.links else NOTHING_BEFORE
        number = len(self.links)
        self.links.append(Link(number, previous, entry_hash(entry, number, previous)))
        return self.links[-1]

    def _header(self) -> Line:
        header = {
            "type": "header",
            "format": FORMAT,
            "organization": f"org-{ORGANIZATION.hex}",
            "organization_id": str(ORGANIZATION),
            "entries": self.size,
            "filters": {},
            "exported_at": moment(BEGAN),
            "key_id": signing.signing_keys().current,
        }
        return {**header, "signature": told(signing.sign(signed_header(header)))["signature"]}

    def _omitted(self, omitted: Range) -> Line:
        return omitted_line(omitted.begin, omitted.end, omitted.nodes)

    def _checkpoint(self, tree: Range, link: Link) -> Line:
        statement = Checkpoint(ORGANIZATION, tree.end, tree.root(), link.hash, BEGAN)
        document = statement.document()
        return {"type": "checkpoint", "document": document.decode(), **told(signing.sign(document))}


def told(signature: signing.Signature) -> dict[str, str]:
    """A signature as lines have it."""
    return {"key_id": signature.key_id, "signature": base64.b64encode(signature.value).decode()}


def linked_anew(lines: list[bytes]) -> list[bytes]:
    """The lines as a forger would write them: every link fits what stands before it."""
    running = Running()
    return [
        body[:-1] + b',"link":"' + running.add(body) + b'"}\n'
        for body in (line.rpartition(b',"link":"')[0] + b"}" for line in lines)
    ]
