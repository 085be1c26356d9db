"""The recipe as a process: events on stdout, exit codes, SIGTERM, and death with its parent."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from training.recipes.run_file import Run

# They start processes of their own.
pytestmark = pytest.mark.services

Order = Callable[..., Run]
COMMAND = [sys.executable, "-m", "training.recipes.sft"]
ROOT = Path(__file__).parents[3]


def events_of(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def start(run: Run, *, through: list[str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*(through or []), *COMMAND, str(run.train_file.parent)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def test_sigterm_leaves_a_checkpoint_and_exit_code_75(order_run: Order) -> None:
    process = start(order_run(n_epochs=50, checkpoint_every_steps=1000))
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(2)]
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=60)
    events = events_of("".join(lines) + rest)
    assert process.returncode == 75
    assert events[0]["event"] == "started"
    assert events[-1]["event"] == "checkpoint"
    assert Path(events[-1]["path"], "manifest.json").is_file()


@pytest.mark.slow
def test_a_refused_run_says_why_and_no_row_reaches_the_log(order_run: Order) -> None:
    row = {"messages": [{"role": "user", "content": "SECRET " * 60}, {"role": "assistant", "content": "y"}]}
    process = start(order_run(rows=[row, row]))
    output, log = process.communicate(timeout=60)
    (failed,) = events_of(output)
    assert process.returncode == 1
    assert (failed["event"], failed["code"], failed["rows"]) == ("failed", "row_too_long", [1, 2])
    assert "SECRET" not in output + log


@pytest.mark.slow
def test_a_run_dies_with_the_process_that_started_it(order_run: Order) -> None:
    script = "import subprocess, sys; subprocess.run(sys.argv[1:], check=False)"
    parent = start(order_run(n_epochs=50), through=[sys.executable, "-c", script])
    assert parent.stdout is not None
    parent.stdout.readline()
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    parent.kill()
    parent.communicate(timeout=30)  # ends only when the recipe has closed its end of the pipes
    assert children
    assert not any(alive(int(child)) for child in children)


def alive(process_id: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.kill(process_id, 0)
        except ProcessLookupError:
            return False
        if Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return False
        time.sleep(0.05)
    return True
