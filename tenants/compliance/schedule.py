"""What beat does for compliance. A tick that no worker took before the next one is dropped."""

from typing import Any

SCHEDULE: dict[str, dict[str, Any]] = {
    "revive-compliance-work": {
        "task": "tenants.compliance.tasks.revive_work",
        "schedule": 30.0,
        "options": {"expires": 30.0},
    },
    "enforce-retention": {
        "task": "tenants.compliance.tasks.enforce_retention",
        "schedule": 24 * 3600.0,
        "options": {"queue": "data"},
    },
}
