"""What beat does for access. A tick that no worker took before the next one is dropped."""

from typing import Any

SCHEDULE: dict[str, dict[str, Any]] = {
    "write-key-uses": {
        "task": "tenants.access.tasks.write_key_uses",
        "schedule": 15.0,
        "options": {"expires": 15.0},
    },
}
