"""What a recipe tells, written down for people: measures, lines of the story, and when it should be done."""

import math
import time
from datetime import timedelta
from typing import Any

from django.db.models.functions import Now

from kernel.tenancy.scope import acting_for
from training.jobs import states
from training.jobs.execution import leases
from training.jobs.execution.leases import Lease
from training.jobs.models import FineTuningJob, JobMetric
from training.jobs.states import Line

INTERVAL_SECONDS = 1.0
MEASURES = (
    "epoch",
    "train_loss",
    "train_mean_token_accuracy",
    "valid_loss",
    "valid_mean_token_accuracy",
    "learning_rate",
    "grad_norm",
    "tokens_per_second",
)
SHOWN = (
    "train_loss",
    "train_mean_token_accuracy",
    "valid_loss",
    "valid_mean_token_accuracy",
)


class Reporter:
    """Collects measures and writes them at most once a second; keeps them while the database is away."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._waiting: list[dict[str, Any]] = []
        self._lines: list[Line] = []
        self._total_steps: int | None = None
        self._first: tuple[int, float] | None = None
        self._latest: tuple[int, float] | None = None
        self._written_at = -math.inf

    def started(self, event: dict[str, Any]) -> None:
        """The recipe has read its rows and knows its number of steps."""
        self._total_steps = int(event["total_steps"])
        self._lines.append(
            Line(f"Training {event['rows']} rows for {event['epochs']} epochs: {self._total_steps} steps")
        )

    def measured(self, event: dict[str, Any]) -> None:
        """One step is done."""
        self._waiting.append(event)
        self._latest = (int(event["step"]), float(event["elapsed_seconds"]))
        self._first = self._first or self._latest

    @property
    def is_due(self) -> bool:
        """Whether there is something to write and the last writing is long enough ago."""
        waits = bool(self._waiting or self._lines)
        return waits and time.monotonic() - self._written_at >= INTERVAL_SECONDS

    def write(self) -> None:
        """Write what was collected, with one event for its onlookers.

        Raises `LeaseLost`; what the database raises leaves everything collected, for the next time.
        """
        self._written_at = time.monotonic()
        if not self._waiting and not self._lines:
            return
        with acting_for(self._lease.organization_id):
            job = leases.hold(self._lease)
            self._write_measures(job)
            FineTuningJob.objects.filter(pk=job.pk).update(
                total_steps=self._total_steps or job.total_steps, **self._estimate()
            )
            states.tell(job, *self._lines, *(self._line_of(event) for event in self._waiting))
        self._waiting, self._lines = [], []

    def _write_measures(self, job: FineTuningJob) -> None:
        JobMetric.objects.bulk_create(
            # By step: told twice in one batch, the later measure counts.
            {
                event["step"]: JobMetric(
                    job=job, step=event["step"], **{name: finite(event.get(name)) for name in MEASURES}
                )
                for event in self._waiting
            }.values(),
            update_conflicts=True,
            unique_fields=["organization_id", "job", "step"],
            update_fields=MEASURES,
        )

    def _estimate(self) -> dict[str, Any]:
        if self._first is None or self._latest is None or self._total_steps is None:
            return {}
        steps, seconds = self._latest[0] - self._first[0], self._latest[1] - self._first[1]
        if steps < 1:
            return {}
        left = (self._total_steps - self._latest[0]) * seconds / steps
        return {"estimated_finish": Now() + timedelta(seconds=left)}

    def _line_of(self, event: dict[str, Any]) -> Line:
        loss = finite(event.get("train_loss"))
        shown = "undefined" if loss is None else f"{loss:.4f}"
        total = event.get("total_steps") or self._total_steps
        return Line(
            f"Step {event['step']}/{total}: training loss={shown}",
            type="metrics",
            data={"step": event["step"], "total_steps": total, **shown_measures(event)},
        )


def shown_measures(event: dict[str, Any]) -> dict[str, float]:
    """The measures of a step that OpenAI's events and checkpoints show."""
    found = {name: finite(event.get(name)) for name in SHOWN}
    return {name: value for name, value in found.items() if value is not None}


def finite(value: Any) -> float | None:
    """The number, or None for what is none: JSON has no infinity."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and math.isfinite(value) else None
