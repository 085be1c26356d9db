"""An incremental decoder of server-sent events. Works on bytes: a split character is never decoded."""

from inference.backends.faults import Broken

_MAX_EVENT_BYTES = 1024 * 1024
_BLANK = (b"", b"\r")


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
        data = self._lines
        for line in lines:
            if line.startswith(b"data:"):
                data.append(line[5:].removesuffix(b"\r"))
            elif data and line in _BLANK:
                payloads.append(data[0] if len(data) == 1 else b"\n".join(data))
                data.clear()
        return payloads
