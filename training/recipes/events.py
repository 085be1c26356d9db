"""What a recipe tells its launcher: one JSON object per line."""

import json
import os
import sys
from typing import Any, TextIO


class EventStream:
    """Writes events, each flushed at once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def emit(self, event: str, **fields: Any) -> None:
        """Write one line `{"event": event, …}`. Numbers must be finite."""
        self._stream.write(json.dumps({"event": event, **fields}, allow_nan=False) + "\n")
        self._stream.flush()


def take_over_stdout() -> EventStream:
    """Keep standard output for events alone: from now on whatever else is printed goes to stderr."""
    sys.stdout.flush()
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return EventStream(stream)
