"""Sleeping that a signal ends at once."""

import select
import signal
import socket
from types import FrameType


class Wakeup:
    """A pause that any handled signal cuts short."""

    def __init__(self) -> None:
        self.reader, self.writer = socket.socketpair()
        self.reader.setblocking(False)
        self.writer.setblocking(False)

    def listen(self, *signals: signal.Signals) -> None:
        """Wake on these signals too, besides those that have handlers already."""
        for number in signals:
            signal.signal(number, self.ignore)
        signal.set_wakeup_fd(self.writer.fileno(), warn_on_full_buffer=False)

    def ignore(self, number: int, frame: FrameType | None) -> None:
        """A handler must exist for the signal to wake us."""

    def wait(self, seconds: float) -> None:
        """Sleep that long, or until the next signal."""
        if select.select([self.reader], [], [], seconds)[0]:
            self.reader.recv(4096)

    def close(self) -> None:
        """Close both ends."""
        self.reader.close()
        self.writer.close()
