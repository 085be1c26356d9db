"""How a run ended, read from what the recipe told and how it exited."""

import signal
from dataclasses import dataclass
from typing import Any

from training.jobs.execution.setbacks import Setback, Unfit
from training.jobs.states import Fault

DONE, STOPPED = 0, 75
MEMORY = "Use a smaller batch_size or shorter rows."
# Faults that another run, perhaps elsewhere, may not meet: `failed` codes and what to tell of them.
PASSING = {
    "out_of_memory": f"The training ran out of memory. {MEMORY}",
    "disk_full": "The trainer's disk was full.",
    "base_model_corrupt": "The trainer's copy of the base model is damaged; its operator must make it anew.",
    "internal": "The training program failed for a reason of its own; its log shows where.",
}
CAUSES = {"internal": "recipe_fault"}
CHECKPOINT_FAULTS = frozenset({"checkpoint_corrupt", "checkpoint_mismatch"})
PARAMS = {
    "hyperparameter_invalid": "method.supervised.hyperparameters",
    "loss_not_finite": "method.supervised.hyperparameters.learning_rate_multiplier",
}
ROW_FAULTS = ("row_", "file_")
IN_VALIDATION = "In the validation file"


@dataclass(frozen=True)
class Ending:
    """The last that is known of a recipe: its `finished` or `failed` event, and its exit status."""

    finished: dict[str, Any] | None
    failed: dict[str, Any] | None
    status: int


class BadCheckpoint(Exception):
    """The recipe could not go on from the checkpoint it was given."""


def require_finished(ending: Ending) -> dict[str, Any]:
    """The `finished` event. Raises `Setback`, `Unfit` or `BadCheckpoint` when the run did not get there."""
    if ending.finished is not None and ending.status == DONE:
        return ending.finished
    if ending.failed is not None:
        raise _fault_of(str(ending.failed.get("code")), str(ending.failed.get("message")))
    if ending.status == STOPPED:
        raise Setback("handed_back", "The trainer that ran the job is being stopped.")
    if ending.status == -signal.SIGKILL:
        raise Setback("recipe_crashed", f"The training was killed, mostly because memory ran out. {MEMORY}")
    how = f"signal {-ending.status}" if ending.status < 0 else f"exit status {ending.status}"
    raise Setback("recipe_crashed", f"The training ended unexpectedly ({how}).")


def _fault_of(code: str, message: str) -> Exception:
    if code in CHECKPOINT_FAULTS:
        return BadCheckpoint(code)
    if code in PASSING:
        return Setback(CAUSES.get(code, code), PASSING[code])
    return Unfit(Fault(code, message, _param_of(code, message)))


def _param_of(code: str, message: str) -> str:
    if code.startswith(ROW_FAULTS):
        return "validation_file" if message.startswith(IN_VALIDATION) else "training_file"
    return PARAMS.get(code, "")
