"""What beat does for REST surfaces."""

from typing import Any

SCHEDULE: dict[str, dict[str, Any]] = {
    "prune-kept-answers": {"task": "kernel.api.tasks.prune_kept_answers", "schedule": 3600.0},
}
