"""The network below outgoing requests: connects to checked addresses only, and ends at the deadline."""

import socket
import ssl
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import certifi
import httpcore

from kernel.egress.addresses import Address
from kernel.egress.destinations import Deadline, addresses_of
from kernel.egress.errors import AddressUnreachable


@lru_cache(maxsize=4)
def trust(ca_file: str) -> ssl.SSLContext:
    """Whose certificates are believed: the public authorities, and those in the file if there is one."""
    context = ssl.create_default_context(cafile=certifi.where())
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


class PinnedNetwork(httpcore.NetworkBackend):
    """Looks a name up once, checks every address it leads to, and connects to one of exactly those."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        for address in addresses_of(host, port, self._deadline):
            connected = self._connect(address, port)
            if connected is not None:
                return DeadlineStream(connected, self._deadline)
        raise AddressUnreachable

    def _connect(self, address: Address, port: int) -> socket.socket | None:
        left = self._deadline.remaining_seconds()
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        candidate = socket.socket(family, socket.SOCK_STREAM)
        candidate.settimeout(left)
        try:
            candidate.connect((str(address), port))
        except OSError:
            candidate.close()
            return None
        candidate.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return candidate


class DeadlineStream(httpcore.NetworkStream):
    """A connection of which every step takes its time from the one deadline, however slowly bytes come."""

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self._socket = connected
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._socket.settimeout(self._deadline.remaining_seconds())
        return self._socket.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        while buffer:
            self._socket.settimeout(self._deadline.remaining_seconds())
            buffer = buffer[self._socket.send(buffer) :]

    def close(self) -> None:
        self._socket.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        self._socket.settimeout(self._deadline.remaining_seconds())
        try:
            secured = ssl_context.wrap_socket(self._socket, server_hostname=server_hostname)
        except Exception:
            self._socket.close()
            raise
        return DeadlineStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._socket if info == "socket" else None
