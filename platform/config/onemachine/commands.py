"""What the one-machine command line does: start, stop and show the platform."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from config.onemachine import credentials, layout, ports, probes, table
from config.onemachine.environment import Place
from config.onemachine.faults import CannotStart, StopRequested
from config.onemachine.lock import Lock, already_runs
from config.onemachine.process import Process
from config.onemachine.supervisor import Supervisor

DEMO_FIELDS = ("url", "email", "password", "api_key", "organization_id", "project_id")
HEALTHY_WITHIN_SECONDS = 90.0
DOWN_WITHIN_SECONDS = 60.0


def say(line: str) -> None:
    """One line to the terminal, now."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def up(home: Path, port: str) -> int:
    """Start the whole platform and keep it running until asked to stop."""
    return run(home, port, table.everything, greet_with_demo)


def stores(home: Path, port: str) -> int:
    """Start PostgreSQL, Valkey and S3 alone."""
    return run(home, port, table.stores, lambda place, supervisor: say("Stores ready."))


def run(
    home: Path,
    port: str,
    make_table: Callable[[Place], list[Process]],
    greet: Callable[[Place, Supervisor], None],
) -> int:
    """Start a table, greet, watch, stop; 0 when stopped on request."""
    first_port = ports.parse(port)
    folders = layout.prepare(home)
    lock = Lock(folders.run)
    # Before the ports: what already runs here is what holds them.
    if (holder := lock.holder()) is not None:
        raise already_runs(holder)
    place = Place(folders, ports.reserve(first_port), credentials.load(folders.secrets))
    lock.take(place.url)
    say(f"Starting Loomworks in {folders.home}, logs in {folders.logs}")
    supervisor = Supervisor(make_table(place), logs=folders.logs, run=folders.run, say=say)
    supervisor.install_signals()
    try:
        supervisor.start_all()
        greet(place, supervisor)
        supervisor.watch()
    except StopRequested:
        pass
    finally:
        say("Stopping.")
        supervisor.stop_all()
    say("Stopped: nothing is left running.")
    return 0


def greet_with_demo(place: Place, supervisor: Supervisor) -> None:
    """Wait until the whole stack serves, then say where it is and how to sign in."""
    demo = publish_demo(place)
    wait_until_healthy(place, supervisor)
    say("")
    say(f"  Loomworks is ready: {demo['url']}")
    say(f"  Sign in with:       {demo['email']}   password: {demo['password']}")
    say(f"  API key:            {demo['api_key']}")
    say(f"  (also in {place.layout.demo}, which only you can read)")
    say(f"  Logs:               {place.layout.logs}")
    say("  Stop with Ctrl-C, or `make down` from another terminal.")
    say("")


def publish_demo(place: Place) -> dict[str, str]:
    """Write `demo.json` from what the demo's step printed; read it again where the step was done before."""
    output = table.demo_output(place)
    if not output.exists():
        known: dict[str, str] = json.loads(place.layout.demo.read_text())
        return known
    lines = [line for line in output.read_text().splitlines() if line.startswith("{")]
    output.unlink()
    printed = json.loads(lines[-1]) if lines else {}
    missing = [name for name in DEMO_FIELDS if not printed.get(name)]
    if missing:
        raise CannotStart(f"The demo organization's step did not tell: {', '.join(missing)}.")
    demo = {name: str(printed[name]) for name in DEMO_FIELDS}
    layout.write_private(place.layout.demo, json.dumps(demo, indent=2) + "\n")
    return demo


def wait_until_healthy(place: Place, supervisor: Supervisor) -> None:
    """Wait for `/healthz`; raises `CannotStart` with what does not serve."""
    until = time.monotonic() + HEALTHY_WITHIN_SECONDS
    while True:
        answer = probes.get(place.ports.web, "/healthz", timeout_seconds=20.0)
        if answer.status == 200:
            supervisor.tell("everything serves")
            return
        if supervisor.stop_requests:
            raise StopRequested
        if time.monotonic() > until:
            raise CannotStart(
                f"Not everything serves: {answer.body[:2000] or 'no answer from the web process'}"
            )
        supervisor.tick()
        supervisor.wakeup.wait(0.3)


def down(home: Path, port: str) -> int:
    """Stop what runs in the folder and wait until nothing of it is left."""
    lock = Lock(home.absolute() / "run")
    holder = lock.holder()
    if holder is None:
        say("Loomworks is not running here.")
        return 0
    os.kill(holder.pid, signal.SIGTERM)
    until = time.monotonic() + DOWN_WITHIN_SECONDS
    while lock.holder() is not None:
        if time.monotonic() > until:
            raise CannotStart(
                f"Loomworks (pid {holder.pid}) did not stop within {DOWN_WITHIN_SECONDS:.0f} s."
            )
        time.sleep(0.1)
    say(f"Loomworks at {holder.url} is stopped.")
    return 0


def status(home: Path, port: str) -> int:
    """Show each process with its memory; exit code 1 when nothing runs."""
    holder = Lock(home.absolute() / "run").holder()
    if holder is None:
        say("Loomworks is not running here.")
        return 1
    say(f"Loomworks runs at {holder.url} (pid {holder.pid}).")
    total = 0.0
    for row in json.loads((home / "run" / "state.json").read_text()):
        memory = memory_megabytes(row["pid"]) if row["pid"] else 0.0
        total += memory
        restarts = f", died {row['deaths']} times" if row["deaths"] else ""
        say(f"  {row['name']:<12} {row['state']:<10} {row['pid'] or '':>8} {memory:8.0f} MB{restarts}")
    say(f"  {'all':<12} {'':<10} {'':>8} {total:8.0f} MB")
    return 0


def memory_megabytes(pid: int) -> float:
    """What a process and its children hold for themselves; shared pages are counted once."""
    try:
        leader = psutil.Process(pid)
        members = [leader, *leader.children(recursive=True)]
        return float(sum(proportional(member) for member in members)) / 1_000_000
    except psutil.Error:
        return 0.0


def proportional(process: psutil.Process) -> int:
    """A process's proportional set size in bytes, or its resident size where that is not known."""
    full = process.memory_full_info()
    return int(getattr(full, "pss", full.rss))
