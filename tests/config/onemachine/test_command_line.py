"""The command line: one sentence for every reason not to start, and nothing left after a stop."""

import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from config.onemachine import layout, objects, ports
from config.onemachine.faults import CannotStart, sentence_for
from config.onemachine.layout import REPOSITORY
from config.onemachine.lock import Lock

AS_ROOT = os.geteuid() == 0
STARTS_WITHIN_SECONDS = 60
SYSTEM_PYTHON = Path("/usr/bin/python3")


def environment(home: Path, port: str) -> dict[str, str]:
    return {**os.environ, "LOOMWORKS_HOME": str(home), "LOOMWORKS_PORT": port}


def refusal(command: str, home: Path, port: str = "0") -> str:
    """What the command says when it refuses."""
    done = subprocess.run(
        [sys.executable, "-m", "config.onemachine", command],
        env=environment(home, port),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr.strip()


@pytest.mark.parametrize("port", ["eighty", "-1", "60000", "80.5"])
def test_a_port_that_is_none_is_refused(tmp_path: Path, port: str) -> None:
    assert refusal("stores", tmp_path, port).startswith("LOOMWORKS_PORT must be a number from 0 to")


def test_a_busy_port_is_named_with_what_wanted_it(tmp_path: Path) -> None:
    block = ports.any_free()
    with contextlib.closing(socket.create_server(("127.0.0.1", block.valkey))):
        sentence = refusal("stores", tmp_path, str(block.web))
    assert f"Port {block.valkey} (for valkey) is used by another program" in sentence
    assert len(sentence.splitlines()) == 1


def test_a_home_below_a_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    sentence = refusal("stores", tmp_path / "file" / "home")
    assert "cannot be written" in sentence
    assert "LOOMWORKS_HOME" in sentence
    assert len(sentence.splitlines()) == 1


def test_a_nearly_full_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "MINIMUM_FREE_BYTES", shutil.disk_usage(tmp_path).total)
    with pytest.raises(CannotStart, match="is full"):
        layout.prepare(tmp_path / "home")


def test_a_disk_that_fills_up_meanwhile_gets_one_sentence() -> None:
    assert sentence_for(OSError(28, "No space left on device", "x")).startswith("The disk is full (x)")


def test_a_lock_left_by_a_killed_process_is_stale(tmp_path: Path) -> None:
    source = "import sys, time; from pathlib import Path; from config.onemachine.lock import Lock\n"
    source += f"Lock(Path({str(tmp_path)!r})).take('http://here'); print('taken', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "taken\n"
        assert (found := Lock(tmp_path).holder()) is not None
        assert found.pid == holder.pid
        holder.kill()
    assert Lock(tmp_path).holder() is None
    Lock(tmp_path).take("http://now")


def test_status_and_down_say_that_nothing_runs(tmp_path: Path) -> None:
    for command, code in (("status", 1), ("down", 0)):
        done = subprocess.run(
            [sys.executable, "-m", "config.onemachine", command],
            env=environment(tmp_path, "0"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code
        assert done.stdout == "Loomworks is not running here.\n"


@contextlib.contextmanager
def running_stores(home: Path, *, user: str | None = None) -> Iterator["subprocess.Popen[str]"]:
    """`stores` as a person would start it, ready; whoever it leaves behind is killed at the end."""
    python, variables = [sys.executable], environment(home, "0")
    if user is not None:
        # Our own interpreter may lie where that user cannot pass.
        python = [str(SYSTEM_PYTHON)]
        variables["PYTHONPATH"] = python_path()
    popen = subprocess.Popen(
        [*python, "-m", "config.onemachine", "stores"],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        user=user,
        group=pwd.getpwnam(user).pw_gid if user else None,
        extra_groups=[] if user else None,
    )
    children: list[psutil.Process] = []
    try:
        said = read_until(popen, "Stores ready.")
        assert "Stores ready." in said, said
        children = psutil.Process(popen.pid).children(recursive=True)
        yield popen
    finally:
        popen.terminate()
        popen.communicate(timeout=60)
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()


def read_until(popen: "subprocess.Popen[str]", words: str) -> str:
    """What it says up to a line with these words, or all of it."""
    assert popen.stdout is not None
    said = ""
    until = time.monotonic() + STARTS_WITHIN_SECONDS
    for line in popen.stdout:
        said += line
        if words in line or time.monotonic() > until:
            break
    return said


def url_of(home: Path) -> str:
    url: str = json.loads((home / "run" / "supervisor.lock").read_text())["url"]
    return url


def port_of(home: Path) -> int:
    return int(url_of(home).rpartition(":")[2])


def descendants(popen: "subprocess.Popen[str]") -> list[psutil.Process]:
    return psutil.Process(popen.pid).children(recursive=True)


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that any user may pass through to, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="loomworks-home-"))
    folder.chmod(0o755)
    yield folder / "var"
    shutil.rmtree(folder)


@pytest.mark.services
def test_sigterm_stops_everything_and_leaves_none(home: Path) -> None:
    with running_stores(home) as popen:
        family = descendants(popen)
        assert {process.name() for process in family} >= {"postgres", "valkey-server", "weed"}
        sockets = list(objects.sockets(ports.Ports(port_of(home))))
        assert any(file.exists() for file in sockets)
        popen.send_signal(signal.SIGTERM)
        said, _ = popen.communicate(timeout=60)
        assert popen.returncode == 0
        assert "nothing is left running" in said
        assert [process for process in family if process.is_running()] == []
        assert not any(file.exists() for file in sockets)


@pytest.mark.services
def test_a_second_start_says_that_it_already_runs_and_down_stops_the_first(home: Path) -> None:
    with running_stores(home) as popen:
        url = url_of(home)
        assert f"already runs at {url} (pid {popen.pid})" in refusal("stores", home)
        subprocess.run(
            [sys.executable, "-m", "config.onemachine", "down"], env=environment(home, "0"), check=True
        )
        assert popen.wait(10) == 0


@pytest.mark.services
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_killing_the_supervisor_leaves_none_and_the_next_start_works(home: Path) -> None:
    with running_stores(home) as popen:
        family = descendants(popen)
        popen.kill()
        _, alive = psutil.wait_procs(family, timeout=10)
        assert alive == []
    with running_stores(home) as popen:
        assert popen.poll() is None


@pytest.mark.services
def test_a_store_that_dies_comes_back_and_it_is_said(home: Path) -> None:
    with running_stores(home) as popen:
        next(process for process in descendants(popen) if process.name() == "valkey-server").kill()
        assert "valkey died (SIGKILL)" in read_until(popen, "valkey died")
        assert "valkey ready again" in read_until(popen, "valkey ready again")


@pytest.mark.services
@pytest.mark.skipif(not AS_ROOT, reason="only root can become someone else")
def test_the_stores_start_where_only_root_can_pass(home: Path) -> None:
    home.parent.chmod(0o700)
    with running_stores(home) as popen:
        postgres = next(process for process in descendants(popen) if process.name() == "postgres")
        assert postgres.uids().effective != 0


@pytest.mark.services
@pytest.mark.skipif(not AS_ROOT or not SYSTEM_PYTHON.exists(), reason="only root can become someone else")
def test_an_ordinary_user_can_start_the_stores(home: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    os.chown(home.parent, nobody.pw_uid, nobody.pw_gid)
    with running_stores(home, user="nobody") as popen:
        assert {process.uids().effective for process in descendants(popen)} == {nobody.pw_uid}
        assert home.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(not AS_ROOT, reason="only root can become someone else")
def test_an_unwritable_home_is_refused_in_one_sentence(home: Path) -> None:
    done = subprocess.run(
        [str(SYSTEM_PYTHON), "-m", "config.onemachine", "stores"],
        env={**environment(home, "0"), "PYTHONPATH": python_path()},
        capture_output=True,
        text=True,
        check=False,
        user="nobody",
        extra_groups=[],
    )
    assert done.returncode == 1
    assert "cannot be written (Permission denied)" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def python_path() -> str:
    """Where an interpreter of another installation finds our packages."""
    site = next(path for path in sys.path if path.endswith("site-packages"))
    return os.pathsep.join((site, str(REPOSITORY / "platform"), str(REPOSITORY)))
