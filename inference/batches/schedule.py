"""What beat does for batches. A tick that no worker took before the next one is dropped."""

from typing import Any

SCHEDULE: dict[str, dict[str, Any]] = {
    "run-waiting-batches": {
        "task": "inference.batches.tasks.run_waiting",
        "schedule": 5.0,
        "options": {"expires": 5.0, "queue": "data"},
    },
    "remove-left-parts-of-batches": {
        "task": "inference.batches.tasks.remove_left_parts",
        "schedule": 300.0,
        "options": {"expires": 300.0},
    },
}
