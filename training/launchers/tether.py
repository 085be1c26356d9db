"""Become a recipe that dies with its launcher: `python -I -S tether.py PARENT_PID COMMAND…`.

A program of its own instead of a function between fork and exec: the launcher has threads, and Python code
run in its forked copy could wait for ever for a lock that another thread held.
"""

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
# When memory runs out the kernel should take the recipe, not the worker that can tell of it.
OOM_SCORE = "500"


def main() -> None:
    """Tie this process to its parent, then turn into the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)
    if os.getppid() != parent:
        sys.exit("the launcher is gone")
    os.execvp(command[0], command)  # noqa: S606 - this is what it is for


main()
