"""An incremental decoder of server-sent events. Works on bytes: a split character is never decoded."""

from inference.backends.faults import Broken

_MAX_EVENT_BYTES = 1024 * 1024


class EventDecoder:
    """Feed it what the network gives; it returns the payloads of the `data` fields that became complete."""

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[bytes] = []

    def feed(self, received: bytes) -> list[bytes]:
        """Payloads completed by these bytes. Raises `Broken` when one event outgrows a mebibyte."""
        lines = (self._rest + received).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > _MAX_EVENT_BYTES:
            raise Broken("The model server sent an event without end.")
        payloads: list[bytes] = []
        for line in lines:
            self._take(line.removesuffix(b"\r"), payloads)
        return payloads

    def _take(self, line: bytes, payloads: list[bytes]) -> None:
        if line.startswith(b"data:"):
            self._lines.append(line[5:])
        elif not line and self._lines:
            payloads.append(b"\n".join(self._lines))
            self._lines.clear()
