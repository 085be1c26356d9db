"""What beat does for conversations. A tick that no worker took before the next one is dropped."""

from typing import Any

SCHEDULE: dict[str, dict[str, Any]] = {
    "settle-interrupted-answers": {
        "task": "inference.chat.tasks.settle_interrupted_answers",
        "schedule": 30.0,
        "options": {"expires": 30.0},
    },
}
