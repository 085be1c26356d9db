"""One supervisor per folder: a kernel lock that goes with its holder, so that it is never stale."""

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from config.onemachine.faults import AlreadyRuns


@dataclass(frozen=True)
class Holder:
    """Who runs in the folder."""

    pid: int
    url: str


class Lock:
    """Held from `take` until the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "supervisor.lock"
        self.descriptor: int | None = None

    def take(self, url: str) -> None:
        """Take the lock and say who we are; raises `AlreadyRuns` when another holds it."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise already_runs(self.holder()) from None
        self.descriptor = descriptor
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(asdict(Holder(os.getpid(), url))).encode(), 0)

    def holder(self) -> Holder | None:
        """Who holds the lock now, if anyone does."""
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return read_holder(descriptor)
        else:
            return None
        finally:
            os.close(descriptor)


def read_holder(descriptor: int) -> Holder | None:
    """The holder's own words; None in the instant before it has written them."""
    try:
        return Holder(**json.loads(os.pread(descriptor, 10_000, 0)))
    except (ValueError, TypeError):
        return None


def already_runs(holder: Holder | None) -> AlreadyRuns:
    """The sentence for a second start."""
    if holder is None:
        return AlreadyRuns("Loomworks is already starting in this folder.")
    return AlreadyRuns(f"Loomworks already runs at {holder.url} (pid {holder.pid}); `make down` stops it.")
