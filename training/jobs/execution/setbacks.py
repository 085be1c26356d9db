"""What becomes of a job whose run ended badly: tried again, or given up with a reason, counted by cause."""

from training.jobs import states
from training.jobs.models import Checkpoint, FineTuningJob
from training.jobs.states import Fault, Line

# After so many runs in a row without a new checkpoint, for this cause, the job is given up.
LIMITS = {
    "lease_lost": 3,
    "recipe_crashed": 3,
    "recipe_fault": 3,
    "runner_fault": 3,
    "out_of_memory": 3,
    "disk_full": 3,
    "base_model_corrupt": 3,
    "service_unavailable": 20,
}
# Not the job's doing, and each leaves it in a better place: these are not counted.
UNCOUNTED = frozenset({"handed_back", "checkpoint_unusable"})
WAIT_SECONDS = {"service_unavailable": 30.0, "disk_full": 30.0, "out_of_memory": 10.0}


class Setback(Exception):
    """A run ended without an end of the job. `advice` says what happened, and what a person can do."""

    def __init__(self, cause: str, advice: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.advice = advice


class Unfit(Exception):
    """The job cannot be done as it is; trying again would not help."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.code)
        self.fault = fault


def put_back(job: FineTuningJob, setback: Setback) -> None:
    """Queue a running job (locked by the caller) again, or give it up when its cause was met too often."""
    cause = setback.cause
    if cause in UNCOUNTED:
        states.queue(job, Line(f"{setback.advice} {_going_on(job)}"))
        return
    tries = job.attempts.get(cause, 0) + 1
    if tries >= LIMITS[cause]:
        message = f"{setback.advice} The job was given up after {tries} runs without progress."
        states.fail(job, Fault(cause, message))
        return
    states.queue(
        job,
        Line(f"{setback.advice} {_going_on(job)}", level="warn", data={"cause": cause, "tries": tries}),
        after_seconds=WAIT_SECONDS.get(cause, 0),
        attempts={**job.attempts, cause: tries},
    )


def usable_checkpoints(job: FineTuningJob) -> "list[Checkpoint]":
    """The points from which the job can go on, the latest first."""
    return list(Checkpoint.objects.filter(job=job, broken=False).exclude(object_key="").order_by("-step"))


def _going_on(job: FineTuningJob) -> str:
    latest = next(iter(usable_checkpoints(job)), None)
    return f"The job goes on from step {latest.step}." if latest else "The job starts again."
