"""A recipe lives exactly as long as the process that started it wants."""

import ctypes
import os
import signal
import types

# Taken when this module is imported, which `sft` does first of all: a parent that dies while torch is
# being imported (seconds) is noticed, because by then the parent's id has changed.
PARENT_ID = os.getppid()
_PR_SET_PDEATHSIG = 1


class ParentGone(Exception):
    """The process that started this one has died."""


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends; raise `ParentGone` if it already has.

    Linux ties this to the parent's *thread* that started the process: that thread must stay alive.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    require_parent()


def require_parent() -> None:
    """Raise `ParentGone` when the process that started this one is no longer its parent."""
    if os.getppid() != PARENT_ID:
        raise ParentGone


class StopRequest:
    """Turns true when SIGTERM arrives, so that the loop can stop between two steps."""

    def __init__(self) -> None:
        self._arrived = False

    def __bool__(self) -> bool:
        return self._arrived

    def listen(self) -> None:
        """Take over SIGTERM."""
        signal.signal(signal.SIGTERM, self._receive)

    def _receive(self, _number: int, _frame: types.FrameType | None) -> None:
        self._arrived = True
