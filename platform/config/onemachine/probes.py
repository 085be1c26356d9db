"""Is it ready? Small questions to a process, each answered within two seconds."""

import http.client
import socket
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from config.onemachine import programs

LOOPBACK = "127.0.0.1"
TIMEOUT_SECONDS = 2.0
KEPT = "/probes/kept"
KEPT_BODY = b"kept"

Probe = Callable[[], bool]


@dataclass(frozen=True)
class Answer:
    """What an HTTP probe got back; status 0 means that nobody answered."""

    status: int
    body: str = ""


def get(port: int, path: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> Answer:
    """Ask a server on this machine, whatever proxies are configured."""
    return send("GET", port, path, timeout_seconds=timeout_seconds)


def send(
    method: str, port: int, path: str, *, body: bytes | None = None, timeout_seconds: float = TIMEOUT_SECONDS
) -> Answer:
    """One request to a server on this machine."""
    with closing(http.client.HTTPConnection(LOOPBACK, port, timeout=timeout_seconds)) as connection:
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            return Answer(response.status, response.read(100_000).decode(errors="replace"))
        except (OSError, http.client.HTTPException):
            return Answer(0)


def http_ok(port: int, path: str) -> Probe:
    """Ready when the path answers 200."""
    return lambda: get(port, path).status == http.client.OK


def object_store(gateway_port: int, filer_port: int) -> Probe:
    """Ready when SeaweedFS reads what it keeps: its gateway answers before its volumes are back."""
    return lambda: get(gateway_port, "/status").status == http.client.OK and reads_what_it_keeps(filer_port)


def reads_what_it_keeps(filer_port: int) -> bool:
    """Whether a small file is read back from the volumes; it is written by the first probe of all."""
    answer = get(filer_port, KEPT)
    if answer.status == http.client.NOT_FOUND:
        send("PUT", filer_port, KEPT, body=KEPT_BODY)
        answer = get(filer_port, KEPT)
    return answer == Answer(http.client.OK, KEPT_BODY.decode())


def postgres(port: int) -> Probe:
    """Ready when PostgreSQL takes connections, not merely listens."""
    command = (programs.postgres("pg_isready"), "-q", "-h", LOOPBACK, "-p", str(port))
    return lambda: subprocess.run(command, check=False).returncode == 0  # noqa: S603 - our own wheel's


def valkey(port: int, password: str) -> Probe:
    """Ready when Valkey has loaded its append-only file and answers a ping."""
    return lambda: answers_ping(port, password)


def answers_ping(port: int, password: str) -> bool:
    """Whether Valkey lets us in and answers."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=TIMEOUT_SECONDS) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            answer = b""
            while answer.count(b"\n") < 2:
                block = connection.recv(1024)
                if not block:
                    break
                answer += block
    except OSError:
        return False
    return b"+PONG" in answer
