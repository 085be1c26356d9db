"""From an address as a tenant wrote it to the numbers that may be connected to."""

import queue
import re
import socket
import threading
import time
from dataclasses import dataclass
from ipaddress import ip_address

import httpx
from django.conf import settings

from kernel.egress.addresses import Address, may_be_asked
from kernel.egress.errors import AddressRefused, AddressUnresolved, AnswerTooLate

MAX_URL_CHARACTERS = 2048
DEFAULT_PORTS = {"https": 443, "http": 80}
# Enough for a host with several servers; each is tried within the request's own time.
MAX_ADDRESSES = 8


@dataclass(frozen=True)
class Deadline:
    """The moment by which everything must have been done."""

    monotonic_seconds: float

    @classmethod
    def within(cls, seconds: float) -> "Deadline":
        """So many seconds from now."""
        return cls(time.monotonic() + seconds)

    def remaining_seconds(self) -> float:
        """What is left. Raises `AnswerTooLate` when nothing is."""
        left = self.monotonic_seconds - time.monotonic()
        if left <= 0:
            raise AnswerTooLate
        return left


def parse(url: str) -> httpx.URL:
    """The address, if its form is allowed. Raises `AddressRefused` with what is wrong about it."""
    parsed = _read(url)
    schemes = ("https", "http") if settings.EGRESS_ALLOW_PLAIN_HTTP else ("https",)
    if parsed.scheme not in schemes:
        raise AddressRefused(f"The address must begin with {' or '.join(s + '://' for s in schemes)}.")
    if not parsed.raw_host:
        raise AddressRefused("The address names no host.")
    if "@" in re.split("[/?#]", url.partition("://")[2], maxsplit=1)[0]:
        raise AddressRefused("An address must not carry a user's name or password.")
    if port_of(parsed) not in settings.EGRESS_ALLOWED_PORTS:
        allowed = ", ".join(str(port) for port in settings.EGRESS_ALLOWED_PORTS)
        raise AddressRefused(f"The port {port_of(parsed)} is not allowed; these are: {allowed}.")
    return parsed


def _read(url: str) -> httpx.URL:
    if len(url) > MAX_URL_CHARACTERS:
        raise AddressRefused(f"An address may have at most {MAX_URL_CHARACTERS} characters.")
    if not url.isprintable() or any(character in url for character in " \\"):
        raise AddressRefused("An address must not contain spaces, backslashes or control characters.")
    try:
        parsed = httpx.URL(url)
        # Decodes the name, which fails where it is no name in any script.
        _ = parsed.host
    except (httpx.InvalidURL, ValueError):
        raise AddressRefused("The address cannot be read; write it like https://host.example/path.") from None
    return parsed


def port_of(url: httpx.URL) -> int:
    """The port that a request goes to."""
    return url.port or DEFAULT_PORTS[url.scheme]


def check(url: str, *, timeout_seconds: float = 5.0) -> None:
    """Refuse an address that could not be asked now. Raises `AddressRefused`, `AddressUnresolved`."""
    parsed = parse(url)
    addresses_of(parsed.raw_host.decode("ascii"), port_of(parsed), Deadline.within(timeout_seconds))


def addresses_of(host: str, port: int, deadline: Deadline) -> list[Address]:
    """Where the name leads, looked up once. Raises `AddressRefused` if any of it may not be asked.

    Connect to what this returns and never to the name again: the next answer may be another one.
    """
    found = _resolve(host, port, deadline)
    admitted = tuple(settings.EGRESS_ALLOWED_NETWORKS)
    if not all(may_be_asked(address, admitted) for address in found):
        raise AddressRefused("The host is not on the public internet; such addresses are not asked.")
    return found[:MAX_ADDRESSES]


def look_up(host: str, port: int) -> list[str]:
    """The system's answer for a name, numbers in any spelling included."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _resolve(host: str, port: int, deadline: Deadline) -> list[Address]:
    # The system's resolver takes as long as it likes, so somebody else waits for it.
    answers: queue.Queue[list[str] | None] = queue.Queue(maxsize=1)

    def ask() -> None:
        try:
            answers.put(look_up(host.strip("[]"), port))
        except (OSError, UnicodeError):
            answers.put(None)

    threading.Thread(target=ask, name="egress-name", daemon=True).start()
    try:
        found = answers.get(timeout=deadline.remaining_seconds())
    except queue.Empty:
        raise AnswerTooLate from None
    if not found:
        raise AddressUnresolved
    return [ip_address(text) for text in found]
