"""Run a recipe on this machine, in a process group of its own, without secrets."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import training

SUPERVISED = (sys.executable, "-P", "-m", "training.recipes.sft")
TETHER = Path(__file__).with_name("tether.py")
SOURCE_ROOT = Path(training.__file__).resolve().parents[1]
# All that a recipe may know of its surroundings: where programs and libraries are, and which devices.
PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")
MAX_LINE_CHARACTERS = 1 << 20


@dataclass(frozen=True)
class LocalLauncher:
    """Starts `command RUN_DIR`; the command speaks the recipes' protocol of JSON lines."""

    command: tuple[str, ...] = SUPERVISED

    def start(self, run_dir: Path) -> "RecipeProcess":
        """Start the recipe on `run_dir/run.json`. The calling thread must outlive it.

        Linux ties the recipe's life to the thread that started it.
        """
        tether = (sys.executable, "-I", "-S", str(TETHER), str(os.getpid()))
        popen = subprocess.Popen(  # noqa: S603 - our own programs, no shell
            (*tether, *self.command, str(run_dir)),
            cwd=run_dir,
            env=environment(run_dir),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        return RecipeProcess(popen)


def environment(run_dir: Path) -> dict[str, str]:
    """The environment of a recipe: built anew, so that nothing of the worker's is in it by oversight."""
    temporary = run_dir / "tmp"
    temporary.mkdir(mode=0o700, exist_ok=True)
    passed: Mapping[str, str] = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {
        **passed,
        "HOME": str(run_dir),
        "TMPDIR": str(temporary),
        "HF_HOME": str(temporary),
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONPATH": str(SOURCE_ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


class RecipeProcess:
    """A running recipe: the events it tells, and the ways to stop it."""

    def __init__(self, popen: "subprocess.Popen[str]") -> None:
        self._popen = popen
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._ended = False
        self._reader = threading.Thread(target=self._read, name="recipe-events", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._popen.pid

    def events(self, *, wait_seconds: float) -> Iterator[dict[str, Any]]:
        """What it told since the last call; waits up to `wait_seconds` for the first."""
        try:
            event = self._events.get(timeout=wait_seconds)
            while True:
                if event is None:
                    self._ended = True
                    return
                yield event
                event = self._events.get_nowait()
        except queue.Empty:
            return

    @property
    def has_told_all(self) -> bool:
        """Whether its last event was given out: it has closed its output."""
        return self._ended

    def terminate(self) -> None:
        """Ask it to write a checkpoint and end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and everything it started, at once."""
        self._signal(signal.SIGKILL)

    def wait(self, *, at_most_seconds: float) -> int:
        """Its exit status (negative: the signal that ended it); killed when it takes longer."""
        try:
            return self._popen.wait(at_most_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._popen.wait()

    def close(self) -> None:
        """Leave nothing of it running or open."""
        self.kill()
        self._popen.wait()
        self._reader.join(timeout=5)
        if self._popen.stdout is not None:
            self._popen.stdout.close()

    def _signal(self, number: signal.Signals) -> None:
        # The group outlives its leader when the recipe started processes of its own.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, number)

    def _read(self) -> None:
        assert self._popen.stdout is not None
        with suppress(ValueError, OSError):
            while line := self._popen.stdout.readline(MAX_LINE_CHARACTERS):
                if (event := parse(line)) is not None:
                    self._events.put(event)
        self._events.put(None)


def parse(line: str) -> dict[str, Any] | None:
    """The event in a line; None for anything else."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None
