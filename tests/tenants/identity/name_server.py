"""A little name server on loopback that answers with the text records it is given."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rrset


class NameServer:
    """Answers questions for text records over UDP; a name it does not know does not exist."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}
        self.is_silent = False
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def close(self) -> None:
        # Closing alone does not wake a reader.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self._socket.getsockname())
        self._thread.join(timeout=5)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            wire, sender = self._socket.recvfrom(4096)
            if not wire:
                return
            if not self.is_silent:
                self._socket.sendto(self._answer(wire), sender)

    def _answer(self, wire: bytes) -> bytes:
        query = dns.message.from_wire(wire)
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.AA | dns.flags.RA
        name = query.question[0].name
        found = self.texts.get(str(name).rstrip(".").lower())
        if found is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        else:
            quoted = [f'"{text}"' for text in found]
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", *quoted))
        return answer.to_wire()


@contextmanager
def running() -> Iterator[NameServer]:
    """A name server for as long as it is needed."""
    server = NameServer()
    try:
        yield server
    finally:
        server.close()
