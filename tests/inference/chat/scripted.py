"""A scripted gateway, and a browser's socket, for tests of chat."""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import uuid4

from asgiref.testing import ApplicationCommunicator

from inference.gateway.contract import (
    Finished,
    GenerationEvent,
    GenerationRequest,
    Principal,
    Started,
    Token,
    Usage,
)

DIGEST = "d" * 64
PATIENCE_SECONDS = 10.0


@dataclass
class ScriptedGateway:
    """Answers as told: `words` one by one, waiting at each for `let` when `held`; `fault` after them."""

    words: list[str] = field(default_factory=lambda: ["Four", " and", " twenty", ", ", "né", "é 🐦", "."])
    held: bool = False
    fault: Exception | None = None
    reason: Any = "stop"
    asked: list[tuple[Principal, GenerationRequest]] = field(default_factory=list)
    metered: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._permits = asyncio.Semaphore(0)

    def let(self, words: int = 1) -> None:
        """Let so many words pass."""
        for _ in range(words):
            self._permits.release()

    async def complete(
        self, principal: Principal, request: GenerationRequest
    ) -> AsyncGenerator[GenerationEvent, None]:
        self.asked.append((principal, request))
        given = 0
        try:
            if self.fault is not None and not self.words:
                raise self.fault
            for number, word in enumerate(self.words):
                if self.held:
                    await self._permits.acquire()
                if number == 0:
                    yield Started(
                        request_id="r",
                        created=1,
                        model=request.model,
                        deployment_id="d",
                        model_version_id="v",
                        digest=DIGEST,
                    )
                given += 1
                yield Token(word)
            if self.fault is not None:
                raise self.fault
            yield Finished(self.reason, Usage(prompt_tokens=9, completion_tokens=given))
        finally:
            # As the gateway does: once, whichever way the request ended.
            if given:
                self.metered.append(given)


class BrowserSocket:
    """A WebSocket of a browser: same origin and the session's cookie, unless told otherwise."""

    def __init__(self, application: Any, path: str, cookie: str, *, origin: str | None = "same") -> None:
        host = "127.0.0.1:8000"
        headers = [(b"host", host.encode())]
        if cookie:
            headers.append((b"cookie", f"lw_session={cookie}".encode()))
        if origin is not None:
            headers.append((b"origin", (f"http://{host}" if origin == "same" else origin).encode()))
        scope = {
            "type": "websocket",
            "path": path,
            "query_string": b"",
            "headers": headers,
            "subprotocols": [],
        }
        # asgiref has no types.
        self._communicator: Any = cast(Any, ApplicationCommunicator)(application, scope)

    async def open(self) -> "BrowserSocket":
        """Open it, which must be accepted."""
        assert await self.handshake() is None
        return self

    async def handshake(self) -> int | None:
        """Open it; answers the code with which it was refused before it was accepted, if it was."""
        await self._communicator.send_input({"type": "websocket.connect"})
        answer = await self._communicator.receive_output(PATIENCE_SECONDS)
        return answer["code"] if answer["type"] == "websocket.close" else None

    async def closed(self) -> int:
        """The code with which the server closes it, after whatever else it says."""
        while (event := await self._communicator.receive_output(PATIENCE_SECONDS))[
            "type"
        ] != "websocket.close":
            pass
        code: int = event["code"]
        return code

    async def say(self, **frame: Any) -> None:
        await self.say_raw(json.dumps(frame))

    async def say_raw(self, text: str) -> None:
        await self._communicator.send_input({"type": "websocket.receive", "text": text})

    async def hear(self) -> dict[str, Any]:
        """The next frame."""
        event = await self._communicator.receive_output(PATIENCE_SECONDS)
        assert event["type"] == "websocket.send", event
        frame: dict[str, Any] = json.loads(event["text"])
        return frame

    async def hear_until(self, kind: str) -> list[dict[str, Any]]:
        """The frames up to the first of a type, that one included."""
        frames = [await self.hear()]
        while frames[-1]["type"] != kind:
            frames.append(await self.hear())
        return frames

    async def is_silent(self, seconds: float = 0.3) -> bool:
        """Whether nothing comes for a while."""
        return bool(await self._communicator.receive_nothing(seconds))

    async def leave(self) -> None:
        """Close the browser's window. Nothing is left to close where the test waited in vain for a frame."""
        if self._communicator.future.cancelled():
            return
        await self._communicator.send_input({"type": "websocket.disconnect", "code": 1001})
        await self._communicator.wait(PATIENCE_SECONDS)


async def ask(socket: BrowserSocket, content: str = "How many blackbirds?") -> str:
    """Send a message; answers the id of the answer to come."""
    started = await sent(socket, content, uuid4().hex)
    assert (started["state"], started["content"]) == ("streaming", "")
    return str(started["id"])


async def sent(socket: BrowserSocket, content: str, client_id: str) -> dict[str, Any]:
    """Send a message under a name; answers the answer to it, as it is when it is confirmed."""
    await socket.say(type="send", content=content, client_id=client_id)
    created = await socket.hear()
    assert created["type"] == "message.created", created
    assert (created["message"]["content"], created["client_id"]) == (content, client_id)
    started = await socket.hear()
    assert started["type"] == "message.started"
    message: dict[str, Any] = started["message"]
    return message


def text_of(frames: list[dict[str, Any]]) -> str:
    """The text of the tokens among the frames, which must be numbered without a gap."""
    tokens = [frame for frame in frames if frame["type"] == "token"]
    if tokens:
        first = tokens[0]["seq"]
        assert [token["seq"] for token in tokens] == list(range(first, first + len(tokens)))
    return "".join(token["text"] for token in tokens)
