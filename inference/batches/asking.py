"""The gateway in a thread of its own, asked as its clients ask it: the same addresses, limits and answers.

A worker has nobody's API key, so it does not ask over the network: it says in the ASGI scope who asks. What
the gateway needs (the serving snapshot, limits, metering) it finds in Valkey as every gateway does.
"""

import asyncio
from collections.abc import Coroutine, Mapping, MutableMapping
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread
from typing import Any, Protocol, Self, TypeVar
from uuid import UUID

from inference.gateway.application import Gateway
from inference.gateway.contract import IN_PROCESS, InProcessCall, Principal

T = TypeVar("T")
Message = MutableMapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Question:
    """One request: `body` is the JSON that is posted to `path`."""

    path: str
    body: bytes
    principal: Principal
    request_id: UUID


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Asked(Protocol):
    """Something that answers questions side by side."""

    def ask(self, question: Question) -> "Future[Answer]":
        """Ask; cancelling the future ends the generation, which is metered as far as it came."""
        ...


class GatewayThread:
    """Runs a gateway while it is entered: `with GatewayThread(gateway) as thread: thread.ask(…)`."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="batch-gateway", daemon=True)
        self._tasks: set[asyncio.Task[Answer]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._gateway.start()).result()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._run(self._stop()).result()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def ask(self, question: Question) -> "Future[Answer]":
        """Ask the gateway. The future has the answer whatever its status."""
        return self._run(self._answer(question))

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    async def _answer(self, question: Question) -> Answer:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        exchange = _Exchange(question)
        try:
            await self._gateway(exchange.scope, exchange.receive, exchange.send)
        finally:
            self._tasks.discard(task)
        return exchange.answer

    async def _stop(self) -> None:
        """End what is under way, so that it is metered before the gateway stops."""
        for task in (under_way := list(self._tasks)):
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await self._gateway.stop()


class _Exchange:
    """The client's end of one request."""

    def __init__(self, question: Question) -> None:
        self.scope: Message = {
            "type": "http",
            "method": "POST",
            "path": question.path,
            "headers": [(b"content-type", b"application/json")],
            IN_PROCESS: InProcessCall(question.principal, question.request_id),
        }
        self._body: bytes | None = question.body
        self._status, self._headers, self._parts = 0, dict[str, str](), list[bytes]()

    @property
    def answer(self) -> Answer:
        return Answer(self._status, self._headers, b"".join(self._parts))

    async def receive(self) -> Message:
        if self._body is None:
            # The client stays; whoever does not want the answer any more cancels the request.
            await asyncio.Event().wait()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = {
                name.decode("latin-1").lower(): value.decode("latin-1") for name, value in message["headers"]
            }
        else:
            self._parts.append(message.get("body", b""))
