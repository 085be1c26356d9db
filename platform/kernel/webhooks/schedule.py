"""What beat does for webhooks. A tick that no worker took before the next one is dropped."""

from typing import Any

SCHEDULE: dict[str, dict[str, Any]] = {
    "send-webhooks": {
        "task": "kernel.webhooks.tasks.send_due",
        "schedule": 5.0,
        "options": {"expires": 5.0},
    },
}
