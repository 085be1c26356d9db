"""Starts the processes of a table in the order of their needs, keeps them alive, stops them all."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from config.onemachine.faults import CannotStart, StopRequested
from config.onemachine.layout import write_private
from config.onemachine.process import Process, group_lives, rotate, signal_group, start
from config.onemachine.wakeup import Wakeup

TICK_SECONDS = 0.1
WATCH_SECONDS = 2.0
FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 30.0
# A process that lived this long is well again: its next death starts the backoff anew.
WELL_AFTER_SECONDS = 60.0
DEATHS_BEFORE_GIVING_UP = 3
NEWS_EVERY_SECONDS = 10.0
ROTATE_EVERY_SECONDS = 60.0
LAST_LINES = 12
AFTER_SIGKILL_SECONDS = 10.0


@dataclass
class Child:
    """A process of the table as it goes now."""

    process: Process
    log: Path
    popen: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    ready: bool = False
    deaths: int = 0
    total_deaths: int = 0
    not_before: float = 0.0
    stop_step: int = -1
    step_until: float = 0.0
    news_at: float = field(default=0.0)

    @property
    def alive(self) -> bool:
        return self.popen is not None

    def state(self) -> str:
        """One word for `status`."""
        if self.process.once:
            return "done" if self.ready else "running" if self.alive else "waiting"
        if self.alive:
            return "ready" if self.ready else "starting"
        return "restarting" if self.total_deaths else "waiting"


class Supervisor:
    """Runs one process table from start to stop, in one thread."""

    def __init__(
        self, table: Sequence[Process], *, logs: Path, run: Path, say: Callable[[str], None]
    ) -> None:
        self.children = {process.name: Child(process, logs / f"{process.name}.log") for process in table}
        self.say = say
        self.state_file = run / "state.json"
        self.began = time.monotonic()
        self.stop_requests = 0
        self.everything_was_ready = False
        self.rotate_at = 0.0
        self.wakeup = Wakeup()

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """SIGINT and SIGTERM: stop all; once more: at once."""
        self.stop_requests += 1

    def install_signals(self) -> None:
        """React to Ctrl-C, SIGTERM and SIGHUP by stopping, to a child's death by waking up."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.on_signal)
        self.wakeup.listen(signal.SIGCHLD)

    def start_all(self) -> None:
        """Return when every process is ready and every step done.

        Raises `CannotStart` when one fails, `StopRequested` when asked to stop meanwhile.
        """
        while not all(child.ready for child in self.children.values()):
            self.tick()
            if self.stop_requests:
                raise StopRequested
            self.wakeup.wait(TICK_SECONDS)
        self.everything_was_ready = True

    def watch(self) -> None:
        """Keep everything alive until asked to stop."""
        while not self.stop_requests:
            self.tick()
            settled = all(child.ready for child in self.children.values())
            self.wakeup.wait(WATCH_SECONDS if settled else TICK_SECONDS)

    def tick(self) -> None:
        """Look at each process once and do what its state asks for."""
        now = time.monotonic()
        for child in self.children.values():
            if child.popen is not None and child.popen.poll() is not None:
                self.bury(child, child.popen.returncode)
            elif child.popen is None and not child.ready and now >= child.not_before:
                self.start_if_possible(child)
            elif child.popen is not None and not child.ready:
                self.look_whether_ready(child, now)
        if now >= self.rotate_at:
            self.rotate_at = now + ROTATE_EVERY_SECONDS
            for child in self.children.values():
                rotate(child.log)

    def start_if_possible(self, child: Child) -> None:
        """Start a process whose needs are met; a step done before counts as done now."""
        if not all(self.children[name].ready for name in child.process.needs):
            return
        if child.process.once and child.process.is_done():
            self.mark_ready(child, "done before")
            return
        child.popen = start(child.process, log=child.log)
        child.started_at = child.news_at = time.monotonic()
        self.write_state()

    def look_whether_ready(self, child: Child, now: float) -> None:
        """Ask a running process whether it is ready, and lose patience in time."""
        if not child.process.once and (child.process.probe is None or child.process.probe()):
            self.mark_ready(child, "ready")
        elif now - child.started_at > child.process.patience_seconds:
            self.lose_patience(child)
        elif now - child.news_at > NEWS_EVERY_SECONDS:
            child.news_at = now
            self.tell(f"{child.process.name} is still at it ({now - child.started_at:.0f} s)")

    def mark_ready(self, child: Child, word: str) -> None:
        """Note that others may now rely on it."""
        child.ready = True
        again = " again" if child.total_deaths else ""
        self.tell(f"{child.process.name} {word}{again}")
        self.write_state()

    def lose_patience(self, child: Child) -> None:
        """A process that is never ready: fatal at the start, a reason to restart it later."""
        if child.popen is None:
            return
        waited = f"{child.process.name} was not ready after {child.process.patience_seconds:.0f} s"
        if not self.everything_was_ready:
            raise CannotStart(f"{waited}.{last_lines(child.log)}")
        self.tell(f"{waited}: starting it again; log: {child.log}")
        signal_group(child.popen, signal.SIGKILL)

    def bury(self, child: Child, code: int) -> None:
        """A process ended: a step is done or has failed, anything else is started again."""
        if child.popen is not None:
            signal_group(child.popen, signal.SIGKILL)
        child.popen, lived = None, time.monotonic() - child.started_at
        if child.process.once:
            self.finish_step(child, code)
            return
        child.ready = False
        child.deaths = 1 if lived > WELL_AFTER_SECONDS else child.deaths + 1
        child.total_deaths += 1
        if not self.everything_was_ready and child.deaths >= DEATHS_BEFORE_GIVING_UP:
            raise CannotStart(f"{child.process.name} died {child.deaths} times.{last_lines(child.log)}")
        pause = min(FIRST_BACKOFF_SECONDS * 2 ** (child.deaths - 1), LONGEST_BACKOFF_SECONDS)
        child.not_before = time.monotonic() + pause
        self.tell(
            f"{child.process.name} died ({how(code)}): starting it again in {pause:.0f} s; log: {child.log}"
        )
        self.write_state()

    def finish_step(self, child: Child, code: int) -> None:
        """Remember a step that went well; a failed one ends the start."""
        if code != 0:
            raise CannotStart(f"The step {child.process.name} failed ({how(code)}).{last_lines(child.log)}")
        if child.process.done is not None:
            write_private(child.process.done, child.process.fingerprint())
        self.mark_ready(child, f"done in {time.monotonic() - child.started_at:.1f} s")

    def stop_all(self) -> None:
        """Stop everything, what was started last first; nothing is left when this returns."""
        requests_before = max(self.stop_requests, 1)
        living = [child for child in self.children.values() if child.alive]
        while living:
            urgent = self.stop_requests > requests_before
            needed = {name for child in living for name in self.all_needs(child)}
            for child in living:
                if urgent or child.process.name not in needed:
                    self.press(child, urgent=urgent)
            self.wakeup.wait(TICK_SECONDS)
            living = [child for child in living if not self.is_gone(child)]
        for file in [self.state_file, *self.left_files()]:
            with suppress(OSError):
                file.unlink(missing_ok=True)

    def left_files(self) -> Iterator[Path]:
        """What the processes leave behind outside the state's folder."""
        for child in self.children.values():
            yield from child.process.leaves

    def all_needs(self, child: Child) -> set[str]:
        """What the process stands on, directly or through the steps in between."""
        found: set[str] = set()
        waiting = [*child.process.needs, *child.process.uses]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += [*self.children[name].process.needs, *self.children[name].process.uses]
        return found

    def press(self, child: Child, *, urgent: bool) -> None:
        """Send the next signal when the last one's time is up."""
        now, steps = time.monotonic(), child.process.stop
        if child.popen is None or (now < child.step_until and not urgent):
            return
        child.stop_step += 1
        number, seconds = signal.SIGKILL, AFTER_SIGKILL_SECONDS
        if child.stop_step < len(steps) and not urgent:
            number, seconds = steps[child.stop_step]
        child.step_until = now + seconds
        if child.stop_step == 0 or number == signal.SIGKILL:
            signal_group(child.popen, number)
        else:
            child.popen.send_signal(number)

    def is_gone(self, child: Child) -> bool:
        """Whether a stopped process is no more; then nothing of its group is left either."""
        if child.popen is None or child.popen.poll() is None:
            return False
        signal_group(child.popen, signal.SIGKILL)
        if group_lives(child.popen):
            return False
        self.tell(f"{child.process.name} stopped")
        return True

    def close(self) -> None:
        """Give back the supervisor's own descriptors."""
        self.wakeup.close()

    def tell(self, news: str) -> None:
        """One line for the person at the terminal."""
        self.say(f"[{time.monotonic() - self.began:6.1f} s] {news}")

    def write_state(self) -> None:
        """What `status` shows."""
        state = [
            {
                "name": child.process.name,
                "state": child.state(),
                "pid": child.popen.pid if child.popen else None,
                "deaths": child.total_deaths,
            }
            for child in self.children.values()
        ]
        write_private(self.state_file, json.dumps(state))


def how(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"


def last_lines(log: Path) -> str:
    """The end of a log, for a sentence about a failure."""
    text = log.read_text(errors="replace") if log.exists() else ""
    if "No space left on device" in text[-5000:]:
        return f" The disk is full: free some space and start again (log: {log})."
    lines = "".join(f"\n    {line}" for line in text.splitlines()[-LAST_LINES:])
    return f" Its log {log} ends:{lines or ' (empty)'}"
