"""The supervisor starts in order, keeps its processes alive, and leaves none of them behind."""

import itertools
import json
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest

from config.onemachine.faults import CannotStart, StopRequested
from config.onemachine.process import ROTATE_BYTES, Process, rotate
from config.onemachine.supervisor import Supervisor

# They start processes of their own.
pytestmark = pytest.mark.services

SLEEPER = "import time; time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"


class Stage:
    """A supervisor over small programs, with what it said."""

    def __init__(self, folder: Path, *table: Process) -> None:
        self.folder = folder
        self.said: list[str] = []
        for name in ("logs", "run"):
            (folder / name).mkdir(exist_ok=True)
        self.supervisor = Supervisor(table, logs=folder / "logs", run=folder / "run", say=self.said.append)

    def process(self, name: str) -> psutil.Process:
        popen = self.supervisor.children[name].popen
        assert popen is not None
        return psutil.Process(popen.pid)

    def tick_until(self, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < until, self.said
            self.supervisor.tick()
            time.sleep(0.02)

    def close(self) -> None:
        self.supervisor.stop_all()
        self.supervisor.close()


def program(name: str, source: str, **options: object) -> Process:
    """A small Python program as a row of the table."""
    return Process(name=name, command=(sys.executable, "-c", textwrap.dedent(source)), **options)  # type: ignore[arg-type]


def test_a_process_starts_only_when_what_it_needs_is_ready(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    stage = Stage(
        tmp_path, program("first", SLEEPER, probe=gate.exists), program("second", SLEEPER, needs=("first",))
    )
    stage.supervisor.tick()
    stage.supervisor.tick()
    assert not stage.supervisor.children["second"].alive
    gate.touch()
    stage.supervisor.start_all()
    assert stage.process("second").is_running()
    stage.close()


def test_a_process_that_dies_is_started_again_and_said_so(tmp_path: Path) -> None:
    stage = Stage(tmp_path, program("mortal", SLEEPER))
    stage.supervisor.start_all()
    first = stage.process("mortal")
    first.kill()
    stage.tick_until(lambda: stage.supervisor.children["mortal"].total_deaths == 1)
    assert any("mortal died (SIGKILL)" in line and "mortal.log" in line for line in stage.said)
    stage.tick_until(lambda: stage.supervisor.children["mortal"].ready)
    assert stage.process("mortal").pid != first.pid
    stage.close()


def test_the_pauses_before_restarts_double(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.onemachine.supervisor.FIRST_BACKOFF_SECONDS", 0.05)
    stage = Stage(tmp_path, program("brief", "raise SystemExit(3)"))
    stage.supervisor.everything_was_ready = True
    child = stage.supervisor.children["brief"]
    pauses = []
    for death in (1, 2, 3, 4):
        stage.tick_until(lambda death=death: child.total_deaths == death)  # type: ignore[misc]
        pauses.append(child.not_before - time.monotonic())
    assert all(later > earlier * 1.5 for earlier, later in itertools.pairwise(pauses))
    stage.close()


def test_a_process_that_cannot_start_ends_the_start_with_its_last_words(tmp_path: Path) -> None:
    # What has no probe is taken to serve as soon as it runs, which it does for a moment.
    source = "raise SystemExit('the port is taken')"
    stage = Stage(tmp_path, program("broken", source, probe=lambda: False))
    with pytest.raises(CannotStart, match=r"(?s)broken died 3 times.*the port is taken"):
        stage.supervisor.start_all()
    stage.close()


def test_a_failed_step_ends_the_start(tmp_path: Path) -> None:
    stage = Stage(tmp_path, program("step", "raise SystemExit(2)", once=True))
    with pytest.raises(CannotStart, match=r"The step step failed \(exit code 2\)"):
        stage.supervisor.start_all()
    stage.close()


def test_a_full_disk_is_named_as_the_cause(tmp_path: Path) -> None:
    words = "raise SystemExit('OSError: [Errno 28] No space left on device')"
    stage = Stage(tmp_path, program("step", words, once=True))
    with pytest.raises(CannotStart, match="The disk is full"):
        stage.supervisor.start_all()
    stage.close()


def test_a_step_done_before_is_not_run_again_until_its_inputs_change(tmp_path: Path) -> None:
    counted, done = tmp_path / "counted", tmp_path / "done"
    source = f"open({str(counted)!r}, 'a').write('x')"
    for fingerprint in ("one", "one", "two"):
        step = program("step", source, once=True, done=done, fingerprint=partial(str, fingerprint))
        stage = Stage(tmp_path, step)
        stage.supervisor.start_all()
        stage.close()
    assert counted.read_text() == "xx"


def test_a_process_that_ignores_the_stop_signal_is_killed(tmp_path: Path) -> None:
    stage = Stage(tmp_path, program("deaf", DEAF, stop=((signal.SIGTERM, 0.3),)))
    stage.supervisor.start_all()
    deaf = stage.process("deaf")
    time.sleep(0.3)
    stage.close()
    assert not deaf.is_running()


def test_what_a_process_started_stops_with_it(tmp_path: Path) -> None:
    note = tmp_path / "grandchild"
    source = f"""
        import subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-c", {DEAF!r}])
        open({str(note)!r}, "w").write(str(child.pid))
        time.sleep(600)
    """
    stage = Stage(tmp_path, program("parent", source, probe=lambda: note.exists() and bool(note.read_text())))
    stage.supervisor.start_all()
    grandchild = psutil.Process(int(note.read_text()))
    stage.close()
    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE


def test_processes_stop_before_what_they_need(tmp_path: Path) -> None:
    store = program("store", SLEEPER)
    step = program("step", "", once=True, needs=("store",))
    stage = Stage(tmp_path, store, step, program("user", SLEEPER, needs=("step",)))
    stage.supervisor.start_all()
    stage.close()
    stops = [line.split("] ")[1] for line in stage.said if line.endswith("stopped")]
    assert stops == ["user stopped", "store stopped"]


def test_what_a_process_only_uses_does_not_hold_its_start_and_outlives_it(tmp_path: Path) -> None:
    store = program("store", SLEEPER, needs=("gate",))
    gate = program("gate", "import time; time.sleep(0.5)", once=True)
    stage = Stage(tmp_path, gate, store, program("user", SLEEPER, uses=("store",)))
    stage.supervisor.start_all()
    stage.close()
    ready = [line.split("] ")[1] for line in stage.said if line.endswith(" ready")]
    stops = [line.split("] ")[1] for line in stage.said if line.endswith("stopped")]
    assert ready == ["user ready", "store ready"]
    assert stops == ["user stopped", "store stopped"]


def test_a_request_to_stop_ends_even_the_start(tmp_path: Path) -> None:
    stage = Stage(tmp_path, program("never", SLEEPER, probe=lambda: False))
    stage.supervisor.stop_requests = 1
    with pytest.raises(StopRequested):
        stage.supervisor.start_all()
    never = stage.process("never")
    stage.close()
    assert not never.is_running()


def test_a_process_that_is_never_ready_is_given_up(tmp_path: Path) -> None:
    stage = Stage(tmp_path, program("never", SLEEPER, probe=lambda: False, patience_seconds=0.2))
    with pytest.raises(CannotStart, match="never was not ready after"):
        stage.supervisor.start_all()
    stage.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_killing_the_supervisor_leaves_none_of_its_processes(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    source = f"""
        import sys
        from pathlib import Path
        from config.onemachine.process import Process
        from config.onemachine.supervisor import Supervisor
        folder = Path({str(tmp_path)!r})
        table = [Process(name="orphan", command=(sys.executable, "-c", {DEAF!r}))]
        supervisor = Supervisor(table, logs=folder, run=folder, say=print)
        supervisor.start_all()
        Path({str(note)!r}).write_text(str(supervisor.children["orphan"].popen.pid))
        supervisor.watch()
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(source)]) as popen:
        until = time.monotonic() + 10
        while not (note.exists() and note.read_text()):
            assert time.monotonic() < until
            time.sleep(0.05)
        orphan = psutil.Process(int(note.read_text()))
        popen.kill()
    psutil.wait_procs([orphan], timeout=5)
    assert not orphan.is_running()


def test_a_log_that_grew_too_long_is_put_aside_while_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * ROTATE_BYTES)
        rotate(log)
        writer.write(b"after")
    assert log.read_bytes() == b"after"
    assert (tmp_path / "web.log.1").stat().st_size == ROTATE_BYTES


def test_logs_and_state_are_private(tmp_path: Path) -> None:
    stage = Stage(tmp_path, program("quiet", SLEEPER))
    stage.supervisor.start_all()
    for path in (tmp_path / "logs" / "quiet.log", tmp_path / "run" / "state.json"):
        assert path.stat().st_mode & 0o077 == 0
    assert json.loads((tmp_path / "run" / "state.json").read_text())[0]["state"] == "ready"
    stage.close()
    assert list((tmp_path / "run").iterdir()) == []
