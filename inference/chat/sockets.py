"""What every socket of ours does: checks where it comes from and who it is, speaks JSON, tells faults.

It hears the events of its organization, and looks again at once who it serves when a session has ended or
what somebody may do has changed; the clock is the net under that.
"""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

import orjson
import structlog
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.db import OperationalError
from psycopg_pool import PoolTimeout
from rest_framework.utils.encoders import JSONEncoder

from inference.chat.following import Frame, error_frame
from inference.chat.visitors import Visitor, comes_from_our_pages, recognise
from kernel.addresses import client_address
from kernel.audit.log import Actor
from kernel.errors import DomainError, InvalidRequest, PayloadTooLarge, Unavailable
from kernel.events.dispatcher import group_of
from kernel.ids import render, uuid7

FOREIGN_ORIGIN = 4403
NO_SESSION = 4401
NOT_FOUND = 4404
RECHECK_SECONDS = 15.0
RECHECK_SHOWING_SECONDS = 3.0
TICK_SECONDS = 1.0
MAX_FRAME_BYTES = 256 * 1024
# Events after which a socket may have lost its person, by their resource.
STANDING = "standing"
SESSION = "session"

T = TypeVar("T")

log = structlog.get_logger()


class Socket(AsyncWebsocketConsumer):  # type: ignore[misc]
    """A socket of a signed-in person. Subclasses say what happens on `opened` and `told`."""

    visitor: Visitor
    project_id: UUID | None = None
    group: str | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._request_id = render("req", uuid7())
        self._tasks: set[asyncio.Task[None]] = set()

    async def opened(self) -> None:
        """The person is recognised. A `DomainError` closes the socket as not found."""

    async def told(self, frame: Frame) -> None:
        """The person sent a frame."""

    async def connect(self) -> None:
        if not comes_from_our_pages(self.scope):
            await self.close(FOREIGN_ORIGIN)
            return
        # Browsers are told the reason of a closed socket only when it was open before.
        await self.accept()
        try:
            if not await self.check():
                return
            await self.opened()
        except DomainError:
            await self.close(NOT_FOUND)
        except (OperationalError, PoolTimeout):
            await self.close(1013)
        else:
            self.run(self._keep_checking())

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        frame: Frame = {}
        try:
            frame = _parsed(text_data)
            await self.told(frame)
        except Exception as fault:
            await self.refuse(fault, client_id=frame.get("client_id"))

    async def disconnect(self, code: int) -> None:
        for task in self._tasks:
            task.cancel()
        if self.group is not None:
            await self.channel_layer.group_discard(self.group, self.channel_name)

    async def resource_changed(self, event: dict[str, Any]) -> None:
        """An event of the organization, from the dispatcher."""
        own = event["id"] == render("user", self.visitor.principal.user_id or UUID(int=0))
        if event["resource"] == STANDING or (event["resource"] == SESSION and own):
            await self._look_again()

    async def recognised(self) -> Visitor | None:
        """Who the session stands for now."""
        session = self.scope.get("session")
        return await on_database(recognise, getattr(session, "session_key", None), self.project_id)

    @property
    def actor(self) -> Actor:
        """The person as the actor of what is done through this socket."""
        headers = dict(self.scope.get("headers", []))
        remote, _ = self.scope.get("client") or ("", 0)
        forwarded = headers.get(b"x-forwarded-for", b"").decode("latin-1")
        address = client_address(remote, forwarded, settings.TRUSTED_PROXIES)
        principal = self.visitor.principal
        return Actor(principal.actor, address, self._request_id, principal.person)

    async def check(self) -> bool:
        """Recognise the person again; closes the socket and answers False when there is no one."""
        visitor = await self.recognised()
        if visitor is None:
            await self.close(NO_SESSION)
            return False
        self.visitor = visitor
        await self._hear(group_of(visitor.principal.organization_id))
        return True

    async def show(self, frame: Frame) -> None:
        """Send a frame."""
        await self.send(text_data=json.dumps(frame, cls=JSONEncoder, ensure_ascii=False))

    async def refuse(
        self, fault: Exception, *, message_id: UUID | None = None, client_id: Any = None
    ) -> None:
        """Tell a fault; one that nobody declared is logged and told without its inside."""
        frame = error_frame(declared(fault).body()["error"], message_id)
        await self.show({**frame, "client_id": client_id} if isinstance(client_id, str) else frame)

    def run(self, work: Any) -> "asyncio.Task[None]":
        """Do something beside, for as long as the socket is open."""
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @property
    def shows_content(self) -> bool:
        """Whether content goes out without being asked for, so that whom it goes to is asked more often."""
        return False

    async def _keep_checking(self) -> None:
        checked = time.monotonic()
        while True:
            await asyncio.sleep(TICK_SECONDS)
            patience = RECHECK_SHOWING_SECONDS if self.shows_content else RECHECK_SECONDS
            if time.monotonic() - checked < patience:
                continue
            if not await self._look_again():
                return
            checked = time.monotonic()

    async def _look_again(self) -> bool:
        """Whether the socket still has its person, as far as can be known now."""
        try:
            return await self.check()
        except (OperationalError, PoolTimeout):
            log.warning("socket.not_rechecked")
            return True

    async def _hear(self, group: str) -> None:
        """Listen to one organization's events, and no longer to another's."""
        if group == self.group:
            return
        if self.group is not None:
            await self.channel_layer.group_discard(self.group, self.channel_name)
        self.group = group
        await self.channel_layer.group_add(group, self.channel_name)


async def on_database(function: Callable[..., T], *arguments: Any) -> T:
    """Run synchronous database work, its scope included, in one thread."""
    result: T = await database_sync_to_async(function, thread_sensitive=False)(*arguments)
    return result


def _parsed(text: str | None) -> Frame:
    if text is None:
        raise InvalidRequest("Send JSON text frames.", code="invalid_json")
    if len(text) > MAX_FRAME_BYTES:
        raise PayloadTooLarge(f"A frame may have at most {MAX_FRAME_BYTES} characters.")
    try:
        frame = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise InvalidRequest("The frame is not valid JSON.", code="invalid_json") from None
    if not isinstance(frame, dict):
        raise InvalidRequest("The frame must be a JSON object.", code="invalid_json")
    return frame


def declared(fault: Exception) -> DomainError:
    """A fault as it may be told; one that nobody declared is logged."""
    if isinstance(fault, DomainError):
        return fault
    if isinstance(fault, OperationalError | PoolTimeout):
        return Unavailable("The database does not answer; try again in a few seconds.")
    log.error("socket.crashed", exc_info=fault)
    return DomainError()
