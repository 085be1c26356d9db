"""What beat does for administration. A tick that no worker took before the next one is dropped."""

from typing import Any

SCHEDULE: dict[str, dict[str, Any]] = {
    "erase-closed-organizations": {
        "task": "tenants.administration.tasks.erase_closed_organizations",
        "schedule": 300.0,
        "options": {"expires": 300.0},
    },
    "watch-own-keys": {
        "task": "tenants.administration.tasks.watch_own_keys",
        "schedule": 60.0,
        "options": {"expires": 60.0},
    },
    "take-up-re-encryptions": {
        "task": "tenants.administration.tasks.take_up_re_encryptions",
        "schedule": 60.0,
        "options": {"expires": 60.0},
    },
}
