"""What beat does here."""

from typing import Any

SCHEDULE: dict[str, dict[str, Any]] = {}
