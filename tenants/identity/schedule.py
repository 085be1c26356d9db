"""What beat does for identity."""

from typing import Any

SCHEDULE: dict[str, dict[str, Any]] = {
    # Each domain is due once a day; whichever process leads finds those that are.
    "recheck-domains": {"task": "tenants.identity.tasks.recheck_domains", "schedule": 900.0},
    "forget-expired-sessions": {
        "task": "tenants.identity.tasks.forget_expired_sessions",
        "schedule": 24 * 3600.0,
    },
}
