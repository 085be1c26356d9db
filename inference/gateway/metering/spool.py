"""Usage records on disk while Valkey is away: appended, synced, private, bounded, drained by whoever can."""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

_FILE_BYTES = 4 * 1024 * 1024


class SpoolFull(Exception):
    """The spool has reached its bound; the records were not written."""


class Spool:
    """A folder of files of JSON lines. Each process appends to a locked file of its own.

    A file whose lock can be taken belongs to no living process and is anyone's to drain. All methods block on
    the disk; call them from a thread.
    """

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        self._folder, self._max_bytes = folder, max_bytes
        self._file: BinaryIO | None = None
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def append(self, records: Sequence[bytes]) -> None:
        """Write records and sync them. Raises `SpoolFull`, `OSError`."""
        block = b"".join(record + b"\n" for record in records)
        if self.size() + len(block) > self._max_bytes:
            raise SpoolFull
        if self._file is None:
            self._file = self._create()
        self._file.write(block)
        self._file.flush()
        os.fsync(self._file.fileno())
        if self._file.tell() > _FILE_BYTES:
            self.close()

    def size(self) -> int:
        """Bytes that all processes have spooled here."""
        total = 0
        for path in self._paths():
            with contextlib.suppress(FileNotFoundError):
                total += path.stat().st_size
        return total

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("usage-*.jsonl"))

    def _create(self) -> BinaryIO:
        path = self._folder / f"usage-{os.getpid()}-{uuid4().hex}.jsonl"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return os.fdopen(descriptor, "wb")

    def close(self) -> None:
        """Let go of this process's file, so that it can be drained."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @contextlib.contextmanager
    def drained(self) -> Iterator[list[bytes] | None]:
        """One closed file's records, None when there is none; the file goes when the block ends well.

        A last line cut short by a crash was never acknowledged to anybody and is left out.
        """
        for path in self._paths():
            with self._claimed(path) as content:
                if content is None:
                    continue
                yield content[: content.rfind(b"\n") + 1].splitlines()
                path.unlink()
                return
        yield None

    @contextlib.contextmanager
    def _claimed(self, path: Path) -> Iterator[bytes | None]:
        try:
            file = path.open("rb")
        except FileNotFoundError:
            yield None
            return
        with file:
            try:
                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
                return
            # Whoever held the lock before may have drained and removed the file meanwhile.
            yield file.read() if os.fstat(file.fileno()).st_nlink else None
