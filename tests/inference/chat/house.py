"""The web process's sockets, in this process, behind a scripted gateway."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from asgiref.sync import sync_to_async
from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter

from inference.chat import generation, streams
from inference.chat.routing import websocket_urlpatterns
from tests.cast import Person
from tests.inference.chat.scripted import BrowserSocket, ScriptedGateway


@dataclass
class Chat:
    """Sockets and the gateway behind them."""

    gateway: ScriptedGateway
    application: Any
    sockets: list[BrowserSocket] = field(default_factory=list)

    async def cookie(self, person: Person) -> str:
        browser = await sync_to_async(lambda: person.browser)()
        return str(browser.cookies["lw_session"].value)

    async def socket(self, person: Person, path: str) -> BrowserSocket:
        """A socket of the person's browser, not opened yet."""
        socket = BrowserSocket(self.application, path, await self.cookie(person))
        self.sockets.append(socket)
        return socket

    async def talk(self, person: Person, conversation_id: str) -> BrowserSocket:
        """An open socket on a conversation."""
        return await (await self.socket(person, f"/ws/chat/{conversation_id}")).open()

    async def begin(self, person: Person, model: str) -> str:
        """A new conversation's id, made through REST."""
        answer = await self.rest(person, "post", "/api/v1/conversations", {"model": model})
        assert answer.status_code == 201, answer.content
        return str(answer.json()["id"])

    async def rest(self, person: Person, method: str, path: str, body: Any = None) -> Any:
        """A REST call of the person's browser."""

        def call() -> Any:
            return getattr(person.browser, method)(path, body, content_type="application/json")

        return await sync_to_async(call)()


@asynccontextmanager
async def opened() -> AsyncIterator[Chat]:
    """The sockets; at the end every window is closed and every answer has ended."""
    gateway = ScriptedGateway()
    application = AuthMiddlewareStack(URLRouter(websocket_urlpatterns(gateway)))
    chat = Chat(gateway, application)
    try:
        yield chat
    finally:
        for socket in chat.sockets:
            await socket.leave()
        await generation.interrupt_all()
        await streams.close_client()
