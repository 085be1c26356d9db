"""What beat does for deployments. A tick that no worker took before the next one is dropped."""

from typing import Any

SCHEDULE: dict[str, dict[str, Any]] = {
    "reconcile-deployments": {
        "task": "inference.deployments.tasks.reconcile",
        "schedule": 15.0,
        "options": {"expires": 15.0},
    },
    "publish-snapshot": {
        "task": "inference.deployments.tasks.publish_snapshot",
        "schedule": 60.0,
        "options": {"expires": 60.0},
    },
}
