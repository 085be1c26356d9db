"""One process of the table: what it is, how it starts, when it is ready, how it stops."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from config.onemachine import accounts

ROTATE_BYTES = 20_000_000

StopSteps = tuple[tuple[signal.Signals, float], ...]


@dataclass(frozen=True)
class Process:
    """A row of the process table.

    `once` marks a step that must end well before what needs it starts; others are kept alive.
    `stop` is a list of signals, each with the seconds to wait before the next; SIGKILL follows.
    `done` is a file that, holding what `fingerprint` answers, says that a step need not run again.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    # What it starts without, and what must outlive it: a stopping trainer still stores its checkpoint.
    uses: tuple[str, ...] = ()
    probe: Callable[[], bool] | None = None
    once: bool = False
    patience_seconds: float = 90.0
    stop: StopSteps = ((signal.SIGTERM, 10.0),)
    # What the kernel sends when the supervisor itself is killed.
    death_signal: signal.Signals = signal.SIGKILL
    account: accounts.Account | None = None
    stdin: str | None = None
    output: Path | None = None
    done: Path | None = None
    # Files outside the state's folder that it does not remove itself.
    leaves: tuple[Path, ...] = ()
    fingerprint: Callable[[], str] = str

    def is_done(self) -> bool:
        """Whether an earlier start has already done this step."""
        return self.done is not None and self.done.exists() and self.done.read_text() == self.fingerprint()


def start(process: Process, *, log: Path) -> "subprocess.Popen[bytes]":
    """Start the process in a group of its own, tied to our life, writing to its log."""
    parent = os.getpid()

    def prepare() -> None:
        if process.account is not None:
            accounts.become(process.account)
        accounts.die_with_parent(process.death_signal)
        os.umask(0o077)
        if os.getppid() != parent:
            os._exit(1)

    log_descriptor = private_file(log, os.O_APPEND)
    output_descriptor = private_file(process.output, os.O_TRUNC) if process.output else log_descriptor
    try:
        popen = subprocess.Popen(  # noqa: S603 - commands come from the table alone
            process.command,
            env={**os.environ, **process.environment},
            stdin=subprocess.PIPE if process.stdin is not None else subprocess.DEVNULL,
            stdout=output_descriptor,
            stderr=log_descriptor,
            process_group=0,
            # The supervisor has one thread, so nothing can hold a lock across this fork.
            preexec_fn=prepare,  # noqa: PLW1509
        )
    finally:
        os.close(log_descriptor)
        if output_descriptor != log_descriptor:
            os.close(output_descriptor)
    if process.stdin is not None and popen.stdin is not None:
        popen.stdin.write(process.stdin.encode())
        popen.stdin.close()
    return popen


def private_file(path: Path, flag: int) -> int:
    """A descriptor that writes to a file only its owner can read."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flag, 0o600)


def signal_group(popen: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    """Signal the process and all that it started in its group; one that is gone is no fault."""
    try:
        os.killpg(popen.pid, number)
    except (ProcessLookupError, PermissionError):
        return


def group_lives(popen: "subprocess.Popen[bytes]") -> bool:
    """Whether anything that the process started is still alive; a corpse nobody has buried is not."""
    try:
        os.killpg(popen.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return any(_is_alive_in(process, popen.pid) for process in psutil.process_iter())


def _is_alive_in(process: psutil.Process, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.Error):
        return False


def rotate(log: Path) -> None:
    """Keep a log's size in bounds: copy it aside and empty it, its writers appending on."""
    if not log.exists() or log.stat().st_size < ROTATE_BYTES:
        return
    older = log.with_name(f"{log.name}.1")
    older.unlink(missing_ok=True)
    descriptor = private_file(older, os.O_TRUNC)
    with os.fdopen(descriptor, "wb") as copy, log.open("rb") as source:
        while block := source.read(1 << 20):
            copy.write(block)
    os.truncate(log, 0)
