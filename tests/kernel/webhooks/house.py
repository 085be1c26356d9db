"""A customer's server, which remembers what it is told, and what tests of webhooks do."""

import socket
import threading
from dataclasses import dataclass, field

from kernel.events.outbox import Happening, emit
from kernel.ids import uuid7
from kernel.webhooks import services
from kernel.webhooks.models import WebhookDelivery, WebhookEndpoint
from tests.cast import Person

EVENT = "tenants.file.uploaded.v1"


@dataclass
class Customer:
    """Answers with `status` after `hold` lets it; keeps what it was posted: (headers, body)."""

    status: int = 204
    headers: str = ""
    body: bytes = b""
    hold: threading.Event = field(default_factory=threading.Event)
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    url: str = ""

    def __post_init__(self) -> None:
        self.hold.set()

    def answer(self, taken: socket.socket, head: bytes) -> None:
        start, _, body = head.partition(b"\r\n\r\n")
        lines = [line.split(": ", 1) for line in start.decode().split("\r\n")[1:]]
        headers = {name.lower(): value for name, value in lines}
        while len(body) < int(headers["content-length"]):
            body += taken.recv(65536)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.hold.wait(10)
        self.at_once -= 1
        self.received.append((headers, body))
        length = f"Content-Length: {len(self.body)}\r\n{self.headers}\r\n"
        taken.sendall(f"HTTP/1.1 {self.status} So\r\n{length}".encode() + self.body)


def subscribe(person: Person, url: str, *patterns: str) -> WebhookEndpoint:
    with person.acting():
        return services.create_webhook(url, list(patterns or ("tenants.file.*",))).endpoint


def happen(person: Person, name: str = EVENT) -> None:
    """Something happens to a file."""
    with person.acting():
        aggregate = uuid7()
        emit(
            Happening(
                name,
                aggregate_id=aggregate,
                project_id=person.project.pk,
                resource="file",
                resource_id=f"file-{aggregate.hex}",
                payload={"filename": "not to be told"},
            )
        )


def deliveries(person: Person) -> list[WebhookDelivery]:
    with person.acting():
        return list(WebhookDelivery.objects.order_by("pk"))


def endpoint_of(person: Person) -> WebhookEndpoint:
    with person.acting():
        found: WebhookEndpoint = WebhookEndpoint.objects.get()
        return found
