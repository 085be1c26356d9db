"""The launcher on this machine: what it passes on, what it hears, and that nothing outlives it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from training.launchers.local import LocalLauncher, parse

# They start processes of their own.
pytestmark = pytest.mark.services


def python(code: str) -> LocalLauncher:
    return LocalLauncher(command=(sys.executable, "-c", code))


def test_it_hears_events_and_passes_over_other_lines(tmp_path: Path) -> None:
    process = python('print("loading"); print("{}"); print(\'{"event": "started", "rows": 3}\')').start(
        tmp_path
    )
    heard = []
    while not process.has_told_all:
        heard += list(process.events(wait_seconds=5))
    assert heard == [{"event": "started", "rows": 3}]
    assert process.wait(at_most_seconds=5) == 0
    process.close()


@pytest.mark.parametrize("line", ["", "[1]", "null", '{"event": 3}', "{", "\ufffd"])
def test_what_is_no_event_is_none(line: str) -> None:
    assert parse(line) is None


def test_a_recipe_gets_an_environment_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "not for recipes")
    code = (
        "import json, os;"
        "print(json.dumps({'event': 'seen', 'names': sorted(os.environ), 'home': os.environ['HOME'],"
        " 'leads': os.getpgrp() == os.getpid()}))"
    )
    process = python(code).start(tmp_path)
    [seen] = list(process.events(wait_seconds=10))
    process.close()
    assert "SECRET_KEY" not in seen["names"]
    assert "DATABASE_URL" not in seen["names"]
    assert seen["home"] == str(tmp_path)
    assert seen["leads"]


def test_one_that_does_not_end_is_killed_with_all_it_started(tmp_path: Path) -> None:
    code = (
        "import signal, subprocess, sys, time;"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        'print(\'{"event": "child", "pid": %d}\' % child.pid, flush=True);'
        "time.sleep(60)"
    )
    process = python(code).start(tmp_path)
    [event] = list(process.events(wait_seconds=10))
    child = psutil.Process(event["pid"])
    process.terminate()
    assert process.wait(at_most_seconds=0.3) == -9
    process.close()
    psutil.wait_procs([child], timeout=5)
    assert not child.is_running() or child.status() == "zombie"


def test_a_recipe_dies_with_its_launcher(tmp_path: Path) -> None:
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from training.launchers.local import LocalLauncher\n"
        "command = (sys.executable, '-c', 'import time; time.sleep(60)')\n"
        "process = LocalLauncher(command=command).start(Path(sys.argv[1]))\n"
        "print(process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    root = str(Path(__file__).parents[3])
    launcher = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root},
        cwd=root,
    )
    assert launcher.stdout is not None
    recipe = psutil.Process(int(launcher.stdout.readline()))
    time.sleep(0.5)
    launcher.kill()
    launcher.wait()
    launcher.stdout.close()
    psutil.wait_procs([recipe], timeout=5)
    assert not recipe.is_running() or recipe.status() == "zombie"
