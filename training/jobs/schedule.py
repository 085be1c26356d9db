"""What beat does for jobs."""

from typing import Any

SCHEDULE: dict[str, dict[str, Any]] = {
    "reap-lost-leases": {"task": "training.jobs.tasks.reap_lost_leases", "schedule": 10.0},
}
