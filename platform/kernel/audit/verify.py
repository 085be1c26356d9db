"""Verify an export of the audit log, offline, with nothing but the public key.

    python -m kernel.audit.verify FILE --public-key PEM

Exit codes: 0 verified; 1 altered, and the first line at fault is named; 2 could not be looked at.
"""

import argparse
import base64
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

from kernel.audit import lines
from kernel.audit.canonical import NOTHING_BEFORE, commitment, entry_hash
from kernel.audit.lines import FORMAT, Line, Running, signed_header
from kernel.audit.merkle import Range
from kernel.audit.statements import export_end, read_checkpoint
from kernel.crypto.signatures import Signature, SignatureRefused, read_public_keys, verify

NOBODY = UUID(int=0)
VERIFIED, ALTERED, UNREADABLE = 0, 1, 2


class Altered(Exception):
    """The export is not what was written; `line` is the first at fault."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"line {line}: {what}")
        self.line = line
        self.what = what


@dataclass(frozen=True)
class Verified:
    """What an export was found to prove."""

    organization: str
    entries_in_log: int
    entries_shown: int
    at: datetime
    lines: int

    def __str__(self) -> str:
        return (
            f"Verified: {self.entries_shown} of the {self.entries_in_log} entries that the audit log of "
            f"{self.organization} had at {self.at.isoformat()}."
        )


@dataclass
class Verifier:
    """Takes the lines of an export one after another. Constant memory."""

    public_keys: Mapping[str, str]
    running: Running = field(default_factory=Running)
    tree: Range = field(default_factory=Range)
    number: int = 0
    shown: int = 0
    organization: str = ""
    organization_id: UUID = NOBODY
    expected: int = 0
    # The hash of the entry before; None after some that are left out, whose hashes the tree alone holds.
    last_hash: bytes | None = NOTHING_BEFORE
    # The line after the last that a checkpoint has proved.
    unproved_from: int = 2
    proved_at: datetime | None = None
    ended: bool = False
    end_digest: bytes = b""

    def take(self, raw: bytes) -> None:
        """Look at the next line. Raises `Altered`."""
        self.number += 1
        if self.ended:
            raise self._fault("stands after the end: lines were added or doubled")
        line, link_holds = self._parsed(raw)
        kind = line.get("type")
        if self.number == 1:
            self._require_link(link_holds)
            self._header(line)
            return
        looks: dict[object, Callable[[Line, bool], None]] = {
            "entry": self._entry,
            "omitted": self._omitted,
            "checkpoint": self._checkpoint,
            "end": self._end,
        }
        if kind not in looks:
            raise self._fault("is no line of an export" if kind != "header" else "is the header once more")
        try:
            looks[kind](line, link_holds)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            raise self._fault("was altered: it is not written as such a line is") from None

    def result(self) -> Verified:
        """What is proved once every line was taken. Raises `Altered` where the end is missing."""
        if not self.ended or self.proved_at is None:
            self.number += 1
            missing = f"{self._up_to(self.expected)} and " if self._is_short() else ""
            raise self._fault(
                f"is missing: the file ends too early, without {missing}what was signed at its end"
            )
        return Verified(self.organization, self.expected, self.shown, self.proved_at, self.number)

    def _up_to(self, end: int) -> str:
        first, last = self.tree.end, end - 1
        return f"entry {first}" if first == last else f"entries {first} to {last}"

    def _is_short(self) -> bool:
        return self.tree.end < self.expected

    def _parsed(self, raw: bytes) -> tuple[Line, bool]:
        """The line, and whether its link is that of a line which stands here unaltered."""
        if not raw.endswith(b"\n"):
            raise self._fault("is cut off")
        try:
            body, link = lines.split(raw)
            line = json.loads(body)
            if not isinstance(line, dict):
                raise ValueError("It is no object.")
        except (ValueError, RecursionError):
            raise self._fault("was altered: it is no line of an export") from None
        if line.get("type") == "end":
            self.end_digest = self.running.digest.digest()
        return line, self.running.add(body) == link

    def _require_link(self, holds: bool) -> None:  # noqa: FBT001
        if not holds:
            raise self._fault("was altered, or a line that belongs before it is missing")

    def _header(self, line: Line) -> None:
        try:
            if line["format"] != FORMAT:
                raise self._fault(f"is not the header of a {FORMAT}")
            self._require_signed(signed_header(line), line)
            self.organization = line["organization"]
            self.organization_id = UUID(line["organization_id"])
            self.expected = int(line["entries"])
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._fault("is no header of an export") from None

    def _entry(self, line: Line, link_holds: bool) -> None:  # noqa: FBT001
        entry, link = lines.read_entry(line, self.organization_id)
        self._require_place(link.sequence)
        self._require_link(link_holds)
        if self.last_hash not in (None, link.previous_hash):
            raise self._fault(
                f"entry {link.sequence} does not follow from the one before: one of the two was altered"
            )
        if entry_hash(entry, link.sequence, link.previous_hash) != link.hash:
            raise self._fault(f"entry {link.sequence} was altered")
        address = line["address"]
        if "text" in address:
            told = commitment(bytes.fromhex(address["salt"]), address["text"])
            if told != entry.address_commitment:
                raise self._fault(f"the address of entry {link.sequence} was altered")
        self.tree.add_leaf(link.hash)
        self.last_hash = link.hash
        self.shown += 1

    def _require_place(self, sequence: int) -> None:
        if sequence < self.tree.end:
            raise self._fault(f"entry {sequence} stands here once more, or was moved here")
        if sequence > self.tree.end:
            raise self._fault(
                f"missing here, or moved: {self._up_to(sequence)}; entry {sequence} stands in its place"
            )

    def _omitted(self, line: Line, link_holds: bool) -> None:  # noqa: FBT001
        self._require_place(line["from"])
        self._require_link(link_holds)
        for node in lines.read_nodes(line):
            self.tree.add(node)
        if self.tree.end != line["to"]:
            raise self._fault("was altered: it does not stand for the entries that it names")
        self.last_hash = None

    def _checkpoint(self, line: Line, link_holds: bool) -> None:  # noqa: FBT001
        document = line["document"].encode()
        statement = read_checkpoint(document)
        if statement.entries > self.tree.end:
            raise self._fault(f"missing here, or moved: {self._up_to(statement.entries)}")
        if statement.entries < self.tree.end or self.number == self.unproved_from:
            raise self._fault("a checkpoint stands here once more, or was moved here")
        self._require_link(link_holds)
        self._require_signed(document, line)
        if statement.organization_id != self.organization_id:
            raise self._fault("is the checkpoint of another organization")
        if statement.root != self.tree.root() or self.last_hash not in (None, statement.last_hash):
            raise Altered(
                self.unproved_from,
                f"from here to line {self.number - 1} the entries are not those that were signed",
            )
        self.unproved_from = self.number + 1
        self.proved_at = statement.made_at

    def _end(self, line: Line, link_holds: bool) -> None:  # noqa: FBT001
        if self._is_short() or self.unproved_from != self.number:
            raise self._fault("the end stands here too early: lines before it are missing")
        self._require_link(link_holds)
        if line["lines"] != self.number - 1:
            raise self._fault("was altered: it counts other lines than there are")
        self._require_signed(export_end(self.organization_id, line["lines"], self.end_digest), line)
        self.ended = True

    def _require_signed(self, document: bytes, line: Line) -> None:
        value = base64.b64decode(line["signature"], validate=True)
        try:
            verify(document, Signature(line["key_id"], value), self.public_keys)
        except SignatureRefused as fault:
            raise self._fault(f"was not signed as it stands: {fault}") from None

    def _fault(self, what: str) -> Altered:
        return Altered(self.number, what)


def verify_lines(raw_lines: Iterable[bytes], public_keys: Mapping[str, str]) -> Verified:
    """Verify an export, line by line in constant memory; `public_keys` are PEM texts by their ids.

    Raises `Altered`, which names the first line at fault.
    """
    verifier = Verifier(public_keys)
    for raw in raw_lines:
        verifier.take(raw)
    return verifier.result()


def run(file: Path, public_keys: Mapping[str, str], say: Callable[[str], object]) -> int:
    """Verify a file and say what was found; answers the exit code."""
    try:
        with file.open("rb") as stream:
            say(str(verify_lines(stream, public_keys)))
    except Altered as fault:
        say(f"NOT verified: {fault}.")
        return ALTERED
    except OSError as fault:
        say(f"{file} cannot be read: {fault.strerror}.")
        return UNREADABLE
    return VERIFIED


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m kernel.audit.verify",
        description="Verify an export of the audit log offline. The first altered, missing, moved or doubled "
        "line is named.",
        epilog="Exit codes: 0 verified, 1 altered, 2 could not be looked at.",
    )
    parser.add_argument("file", type=Path, help="the export, as JSON Lines")
    parser.add_argument(
        "--public-key",
        type=Path,
        required=True,
        action="append",
        help="a PEM file with the platform's public keys; may be given several times",
    )
    given = parser.parse_args(arguments)
    try:
        keys = read_public_keys("\n".join(path.read_text(encoding="ascii") for path in given.public_key))
    except (OSError, ValueError) as fault:
        sys.stderr.write(f"The public key cannot be read: {fault}\n")
        return UNREADABLE
    return run(given.file, keys, lambda text: sys.stdout.write(f"{text}\n"))


if __name__ == "__main__":
    sys.exit(main())
