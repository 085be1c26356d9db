"""Follow a running recipe: write down what it tells, keep its checkpoints, and stop it when it must stop."""

import shutil
import threading
import time
from pathlib import Path
from typing import Any

import structlog
from django.db import connection

from training.jobs.errors import LeaseLost
from training.jobs.execution import checkpoints
from training.jobs.execution.checkpoints import Written
from training.jobs.execution.endings import Ending
from training.jobs.execution.leases import Lease
from training.jobs.execution.patience import AWAY, patiently
from training.jobs.execution.reports import Reporter, shown_measures
from training.jobs.execution.watch import Watch
from training.launchers.local import RecipeProcess

LISTEN_SECONDS = 0.5
# To write a checkpoint after SIGTERM. Supervisors give the trainer ten seconds before they insist.
STOP_SECONDS = 8.0
EXIT_SECONDS = 30.0
RETRY_SECONDS = 5.0

# Set when this process was told to stop: the recipe is stopped and its job handed back.
stopping = threading.Event()
log = structlog.get_logger()


class Follower:
    """One run of one job, from the recipe's first word to its last."""

    def __init__(self, lease: Lease, process: RecipeProcess, folder: Path) -> None:
        self._lease = lease
        self._process = process
        self._folder = folder.resolve()
        self._reporter = Reporter(lease)
        self._last_metrics: dict[str, Any] = {}
        self._unsaved: Written | None = None
        self._retry_at = 0.0
        self._kill_at: float | None = None
        self._finished: dict[str, Any] | None = None
        self._failed: dict[str, Any] | None = None

    def follow(self, watch: Watch) -> Ending:
        """Stay until it has ended and all it told is written. Raises `LeaseLost`, `Setback`."""
        while not self._process.has_told_all:
            for event in self._process.events(wait_seconds=LISTEN_SECONDS):
                self._hear(event)
            self._require_held(watch)
            self._stop_if_told()
            self._write_if_due()
        status = self._process.wait(at_most_seconds=EXIT_SECONDS)
        patiently(self._reporter.write, watch)
        patiently(self._save_checkpoint, watch)
        return Ending(self._finished, self._failed, status)

    @property
    def last_metrics(self) -> dict[str, Any]:
        """The measures of the last step."""
        return self._last_metrics

    def _hear(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "started":
            self._reporter.started(event)
        elif kind == "metrics":
            self._reporter.measured(event)
            self._last_metrics = event
        elif kind == "checkpoint":
            self._note_checkpoint(event)
        elif kind == "finished":
            self._finished = event
        elif kind == "failed":
            self._failed = event

    def _note_checkpoint(self, event: dict[str, Any]) -> None:
        step, folder = int(event["step"]), (self._folder / str(event["path"])).resolve()
        # One of before the first step holds nothing; one outside the folder is not the recipe's to give.
        if step > 0 and folder.is_relative_to(self._folder):
            if self._unsaved is not None:
                # Only the latest is worth storing; while the store is away they would fill the scratch.
                shutil.rmtree(self._unsaved.folder, ignore_errors=True)
            measures = {"step": step, **shown_measures(self._last_metrics)}
            self._unsaved = Written(step, folder, measures)

    def _require_held(self, watch: Watch) -> None:
        try:
            watch.require_held()
        except LeaseLost:
            self._process.terminate()
            self._process.wait(at_most_seconds=STOP_SECONDS)
            raise

    def _stop_if_told(self) -> None:
        if stopping.is_set() and self._kill_at is None:
            log.info("run.stopping")
            self._process.terminate()
            self._kill_at = time.monotonic() + STOP_SECONDS
        elif self._kill_at is not None and time.monotonic() > self._kill_at:
            self._process.kill()

    def _write_if_due(self) -> None:
        if time.monotonic() < self._retry_at:
            return
        try:
            if self._reporter.is_due:
                self._reporter.write()
            self._save_checkpoint()
        except AWAY as fault:
            # Training goes on meanwhile; what was measured is kept and written when the store is back.
            log.warning("run.store_away", fault=type(fault).__name__)
            self._retry_at = time.monotonic() + RETRY_SECONDS
        finally:
            connection.close()

    def _save_checkpoint(self) -> None:
        if (written := self._unsaved) is not None and written.folder.is_dir():
            # Its measures first: a checkpoint is never ahead of what is known of its step.
            self._reporter.write()
            checkpoints.store(self._lease, written)
        self._unsaved = None
