"""What beat does for the audit log. Sealing itself is no task: it runs beside the outbox's dispatcher."""

from typing import Any

SCHEDULE: dict[str, dict[str, Any]] = {
    "note-forgotten-audit-entries": {
        "task": "kernel.audit.tasks.note_forgotten_entries",
        "schedule": 24 * 3600.0,
    },
}
