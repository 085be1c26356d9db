"""What beat does for usage. A tick that no worker took before the next one is dropped."""

from typing import Any

SCHEDULE: dict[str, dict[str, Any]] = {
    "drain-usage": {
        "task": "inference.usage.tasks.drain",
        "schedule": 2.0,
        "options": {"expires": 2.0},
    },
    "make-usage-partitions": {
        "task": "inference.usage.tasks.make_partitions",
        "schedule": 3_600.0,
        "options": {"expires": 3_600.0},
    },
    "reconcile-usage": {
        "task": "inference.usage.tasks.reconcile",
        "schedule": 86_400.0,
        "options": {"expires": 86_400.0},
    },
    "compare-usage-counters": {
        "task": "inference.usage.tasks.compare_counters",
        "schedule": 3_600.0,
        "options": {"expires": 3_600.0},
    },
}
