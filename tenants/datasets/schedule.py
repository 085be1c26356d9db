"""What beat does for datasets."""

from typing import Any

SCHEDULE: dict[str, dict[str, Any]] = {
    "revive-waiting-files": {"task": "tenants.datasets.tasks.revive_waiting_files", "schedule": 30.0},
    "delete-expired-files": {"task": "tenants.datasets.tasks.delete_expired_files", "schedule": 60.0},
}
