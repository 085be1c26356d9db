"""A ZIP made while it is read: no more of it than a chunk is ever in memory or on a disk."""

import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from io import RawIOBase

# The oldest day that a ZIP knows: what is in an export has its times in the rows.
NO_TIME = (1980, 1, 1, 0, 0, 0)
READABLE = 0o644 << 16


@dataclass(frozen=True)
class Entry:
    """One file of an archive; its content is asked for when its turn comes.

    `rows` are those of a list, `compressed` says whether the content is worth it.
    """

    name: str
    content: Callable[[], Iterable[bytes]]
    rows: int | None = None
    compressed: bool = True


@dataclass(frozen=True)
class Written:
    """What went into the archive."""

    name: str
    bytes: int
    sha256: str
    rows: int | None


class Outlet(RawIOBase):
    """Where `zipfile` writes to; what was written is taken away at once."""

    def __init__(self) -> None:
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        self._held += data
        return len(data)

    def take(self) -> bytes:
        """What was written since."""
        taken = bytes(self._held)
        self._held.clear()
        return taken


def packed(entries: Iterable[Entry], closing: Callable[[list[Written]], Iterable[Entry]]) -> Iterator[bytes]:
    """The archive's bytes; `closing` makes the last entries of what went before."""
    outlet = Outlet()
    written: list[Written] = []
    with zipfile.ZipFile(outlet, "w", allowZip64=True) as archive:
        for entry in entries:
            yield from _put(archive, outlet, entry, written)
        for entry in closing(list(written)):
            yield from _put(archive, outlet, entry, written)
    yield outlet.take()


def _put(archive: zipfile.ZipFile, outlet: Outlet, entry: Entry, written: list[Written]) -> Iterator[bytes]:
    place = zipfile.ZipInfo(entry.name, NO_TIME)
    place.compress_type = zipfile.ZIP_DEFLATED if entry.compressed else zipfile.ZIP_STORED
    place.external_attr = READABLE
    digest, size = sha256(), 0
    with archive.open(place, "w", force_zip64=True) as target:
        for chunk in entry.content():
            target.write(chunk)
            digest.update(chunk)
            size += len(chunk)
            if held := outlet.take():
                yield held
    written.append(Written(entry.name, size, digest.hexdigest(), entry.rows))
