"""Private folders for runs, in memory where they fit; wiped when the run ends, or after it was killed."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog
from django.conf import settings

MEMORY = Path("/dev/shm")  # noqa: S108 - only under a folder of our own, mode 0700
LOCK = "lock"
PREFIX = "run-"
# A run in memory must leave most of it to the recipe itself.
MEMORY_SHARE = 4

log = structlog.get_logger()


@contextmanager
def private_folder(needed_bytes: int) -> Iterator[Path]:
    """An empty folder (mode 0700) for about so many bytes; gone afterwards, whatever happens.

    It holds a file that stays locked while this process lives: that is how a later one tells a killed
    run's folder from a living one's.
    """
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_root(needed_bytes)))
    descriptor = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def wipe_stale() -> int:
    """Remove the folders of runs whose process is gone; returns how many."""
    candidates = [path for root in _roots() if root.is_dir() for path in root.glob(f"{PREFIX}*")]
    wiped = sum(_wipe_if_stale(path) for path in candidates)
    if wiped:
        log.info("scratch.wiped_stale", folders=wiped)
    return wiped


def _wipe_if_stale(folder: Path) -> bool:
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR)
    except OSError:
        # Made a moment ago and not locked yet, or half removed: the next start decides.
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)


def _root(needed_bytes: int) -> Path:
    memory, disk = _roots()
    for root in (memory, disk) if _fits_in_memory(needed_bytes) else (disk,):
        with suppress(OSError):
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = root.stat()
            # Anyone may make folders in /dev/shm: one that is not ours alone is not used.
            if status.st_uid == os.geteuid() and status.st_mode & 0o077 == 0:
                return root
    return Path(settings.SCRATCH_DIR)


def _roots() -> tuple[Path, Path]:
    return MEMORY / f"loomworks-{os.geteuid()}", Path(settings.SCRATCH_DIR) / "runs"


def _fits_in_memory(needed_bytes: int) -> bool:
    try:
        free = shutil.disk_usage(MEMORY).free
        available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return False
    return needed_bytes * 2 < free and needed_bytes * MEMORY_SHARE < available
