"""The sockets: a project's events, and a conversation."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from inference.chat import generation, services, streams
from inference.chat.following import Frame, follow
from inference.chat.models import Conversation, MessageState
from inference.chat.sockets import Socket, on_database
from inference.gateway.contract import ChatCompleter
from kernel import ids
from kernel.audit.log import acting_as, record
from kernel.errors import InvalidRequest, NotFound
from kernel.tenancy.scope import acting_for
from tenants.access.permissions import Permission
from tenants.access.principal import Principal
from tenants.access.restrictable import require_somewhere

Begin = Callable[[Principal, UUID, Any], services.Begun]
MAX_FOLLOWED = 8
MAX_CLIENT_ID_CHARACTERS = 100

VISIBLE_WITH = {
    "file": Permission.FILE_READ,
    "fine_tuning.job": Permission.TRAINING_READ,
    "model_version": Permission.MODEL_READ,
    "deployment": Permission.DEPLOYMENT_READ,
    "api_key": Permission.KEY_READ,
    "conversation": Permission.CHAT_USE,
    "batch": Permission.BATCH_READ,
}


class EventsConsumer(Socket):
    """Tells what happened in the projects that the person may work in; the client reads it again."""

    async def opened(self) -> None:
        await self.show({"type": "hello"})

    async def check(self) -> bool:
        """As every socket; also follows the person to another organization."""
        before = self.group
        if not await super().check():
            return False
        if before not in (None, self.group):
            await self.opened()
        return True

    async def resource_changed(self, event: dict[str, Any]) -> None:
        """An event of the organization, from the dispatcher."""
        await super().resource_changed(event)
        if await self._may_see(event):
            told = {key: event[key] for key in ("name", "resource", "id", "project_id")}
            await self.show({"type": "event", **told})

    async def _may_see(self, event: dict[str, Any]) -> bool:
        permission = VISIBLE_WITH.get(event["resource"])
        if permission is None or permission not in self.visitor.principal.permissions:
            return False
        # The project may be newer than what is known of the person.
        if event["project_id"] not in self.visitor.projects and not await self.check():
            return False
        if event["project_id"] not in self.visitor.projects:
            return False
        if event["resource"] != "conversation":
            return True
        return await on_database(_is_own_conversation, self.visitor.principal, event["id"])


class ChatConsumer(Socket):
    """One conversation: sends, stops, and shows answers that are generated apart from this socket."""

    def __init__(self, *args: Any, gateway: ChatCompleter, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._gateway = gateway
        self._followed: dict[UUID, asyncio.Task[None]] = {}
        self.conversation_id = UUID(int=0)

    async def opened(self) -> None:
        text = self.scope["url_route"]["kwargs"]["conversation_id"]
        self.conversation_id = ids.parse("conv", text)
        # The conversation decides the project, whichever the session has chosen.
        self.project_id = await on_database(_project_of, self.visitor.principal, self.conversation_id)
        visitor = await self.recognised()
        if visitor is None:
            raise NotFound
        self.visitor = visitor
        await on_database(self._record_opening)

    @property
    def shows_content(self) -> bool:
        """While an answer is followed."""
        return bool(self._followed)

    async def told(self, frame: Frame) -> None:
        match frame.get("type"):
            case "send":
                await self._send(frame)
            case "stop":
                await on_database(self._stop, _message_id(frame))
            case "regenerate":
                message_id = _message_id(frame)
                await self._answer(services.regenerate_answer, message_id, kind="message.superseded")
            case "resume":
                await self._resume(frame)
            case _:
                raise InvalidRequest("'type' must be 'send', 'regenerate', 'stop' or 'resume'.", param="type")

    async def _send(self, frame: Frame) -> None:
        client_id = frame.get("client_id")
        if client_id is not None and (
            not isinstance(client_id, str) or len(client_id) > MAX_CLIENT_ID_CHARACTERS or "\0" in client_id
        ):
            raise InvalidRequest("'client_id' must be a short text.", param="client_id")
        send = partial(services.send_message, client_id=client_id or "")
        await self._answer(send, frame.get("content"), kind="message.created", client_id=client_id)

    async def _answer(self, begin: Begin, wish: Any, *, kind: str, **told: Any) -> None:
        """Begin an answer, and show it; `kind` is how the message that goes before it is told."""
        if not await self.check():
            return
        begun = await on_database(self._begin, begin, wish)
        if begun.order is not None:
            generation.start(self._gateway, begun.order)
        await self.show({"type": kind, "message": begun.before, **told})
        await self.show({"type": "message.started", "message": begun.answer})
        self._follow(begun.answer_id, 0)

    def _begin(self, begin: Begin, wish: Any) -> services.Begun:
        principal = self.visitor.principal
        with acting_as(self.actor), acting_for(principal.organization_id):
            return begin(principal, self.conversation_id, wish)

    def _record_opening(self) -> None:
        with acting_as(self.actor), acting_for(self.visitor.principal.organization_id):
            record("conversation.read", ids.render("conv", self.conversation_id), through="socket")

    def _stop(self, message_id: UUID) -> None:
        with acting_for(self.visitor.principal.organization_id):
            conversation = services.find_conversation(self.visitor.principal, self.conversation_id)
            message = services.find_message(conversation, message_id)
            if message.state == MessageState.STREAMING:
                services.stop_answer(message)

    async def _resume(self, frame: Frame) -> None:
        message_id, after = _message_id(frame), frame.get("after", 0)
        if not isinstance(after, int) or isinstance(after, bool) or not 0 <= after <= streams.MAX_ENTRIES:
            raise InvalidRequest("'after' must be the number of a token, or 0.", param="after")
        await on_database(_require_message, self.visitor.principal, self.conversation_id, message_id)
        self._follow(message_id, after)

    def _follow(self, message_id: UUID, after: int) -> None:
        if (before := self._followed.pop(message_id, None)) is not None:
            before.cancel()
        if len(self._followed) >= MAX_FOLLOWED:
            raise InvalidRequest(f"At most {MAX_FOLLOWED} answers are followed at a time.")
        task = self.run(self._show_answer(message_id, after))
        self._followed[message_id] = task
        task.add_done_callback(lambda done: self._forget(message_id, done))

    def _forget(self, message_id: UUID, task: "asyncio.Task[None]") -> None:
        if self._followed.get(message_id) is task:
            del self._followed[message_id]

    async def _show_answer(self, message_id: UUID, after: int) -> None:
        try:
            async for frame in follow(self.visitor.principal.organization_id, message_id, after):
                await self.show(frame)
        except Exception as fault:
            await self.refuse(fault, message_id=message_id)


def _require_message(principal: Principal, conversation_id: UUID, message_id: UUID) -> None:
    with acting_for(principal.organization_id):
        services.find_message(services.find_conversation(principal, conversation_id), message_id)


def _project_of(principal: Principal, conversation_id: UUID) -> UUID:
    """The project of a conversation of this person's, wherever it is in the organization."""
    with acting_for(principal.organization_id):
        require_somewhere(principal, Permission.CHAT_USE)
        found: Conversation | None = Conversation.objects.filter(
            pk=conversation_id, created_by_id=principal.user_id
        ).first()
    if found is None:
        raise NotFound
    return UUID(str(found.project_id))


def _is_own_conversation(principal: Principal, public_id: str) -> bool:
    with acting_for(principal.organization_id):
        return bool(
            Conversation.objects.filter(
                pk=ids.parse("conv", public_id), created_by_id=principal.user_id
            ).exists()
        )


def _message_id(frame: Frame) -> UUID:
    text = frame.get("message_id")
    if not isinstance(text, str):
        raise InvalidRequest("'message_id' must name a message.", param="message_id")
    return ids.parse("msg", text, param="message_id")
