"""What beat does for keys."""

from typing import Any

SCHEDULE: dict[str, dict[str, Any]] = {
    "settle-keys": {
        "task": "kernel.crypto.tasks.settle_keys",
        "schedule": 300.0,
        "options": {"expires": 300.0},
    },
}
