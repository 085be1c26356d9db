"""A scripted TGI server: speaks the wire protocol of 3.3 and fails in the ways that the real one does."""

import asyncio
import contextlib
import json
import os
import socket
import struct
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass
class Script:
    """What the next generations do. Tokens are text; an end token follows if `finish` is `eos_token`.

    `completion_tokens` is what the end tells instead of the truth. `tokens_per_chunk`, `usage` and `done` are
    heeded by the OpenAI-compatible server only.
    """

    tokens: list[str] = field(default_factory=lambda: ["Hello", " wor", "ld", "!"])
    finish: str = "eos_token"
    prompt_tokens: int = 7
    completion_tokens: int | None = None
    delay: float = 0.0
    first_delay: float = 0.0
    served_by: str | None = None
    status: int = 200
    error: dict[str, str] | None = None
    reset_after: int | None = None
    close_after: int | None = None
    stall_after: int | None = None
    raw: list[bytes] | None = None
    split: int | None = None
    logprobs: bool = True
    top: list[tuple[str, float]] | None = None
    logprob: float = -0.5
    drop_connection_first: bool = False
    end_special: bool = True
    retry_after: int | None = None
    healthy: bool = True
    tokens_per_chunk: int = 1
    usage: bool = True
    done: bool = True


@dataclass
class Seen:
    """One generation as the server saw it."""

    body: dict[str, Any]
    emitted: int = 0
    aborted: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class FakeTgi:
    """`async with FakeTgi() as tgi:` then set `tgi.script`, read `tgi.seen`.

    Each of `tgi.next_scripts` serves one generation before `tgi.script` does. `tgi.answers` has what is
    answered at other paths, `tgi.forwarded` the bodies that came there.
    """

    generates_at = "/generate_stream"

    def __init__(self) -> None:
        self.script = Script()
        self.next_scripts: list[Script] = []
        self.seen: list[Seen] = []
        self.begun = asyncio.Semaphore(0)
        self.answers: dict[str, object] = {}
        self.forwarded: list[dict[str, Any]] = []
        self.tokenized = 0
        self.probed = 0
        self.connections = 0
        self.keys: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", int(os.environ.get("FAKE_PORT", "0"))
        )
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def kill(self) -> None:
        """Die in the midst of everything; whoever asks anew finds it there again."""
        for writer in self._writers:
            self._reset(writer)
        for task in self._tasks:
            task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.connections += 1
        try:
            while await self._exchange(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.keys.add(headers.get("authorization", ""))
        path = head[0].split(" ")[1]
        script = self.script
        if path == self.generates_at:
            script = self.next_scripts.pop(0) if self.next_scripts else script
            return await self._generate(json.loads(body), script, reader, writer)
        if path in self.answers:
            self.forwarded.append(json.loads(body))
            await asyncio.sleep(script.first_delay)
            failed = script.status != 200
            return await self._plain(
                writer, script.status, self._failure(script) if failed else self.answers[path]
            )
        if path == "/tokenize":
            self.tokenized += 1
            return await self._plain(writer, 200, self._counted(script))
        if path in {"/health", "/info"}:
            self.probed += 1
            if not script.healthy:
                return await self._plain(writer, 503, {"error": "unhealthy", "error_type": "healthcheck"})
            return await self._plain(writer, 200, {"model_id": "fake", "max_total_tokens": 2048})
        return await self._plain(writer, 404, {"error": "no", "error_type": "not_found"})

    @staticmethod
    def _counted(script: Script) -> object:
        return [{"id": 1, "text": "x", "start": 0, "stop": 1}] * script.prompt_tokens

    async def _plain(self, writer: asyncio.StreamWriter, status: int, document: object) -> bool:
        body = json.dumps(document).encode()
        wait = self.script.retry_after
        writer.write(
            b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n"
            % (status, b"" if wait is None else b"retry-after: %d\r\n" % wait, len(body))
        )
        writer.write(body)
        await writer.drain()
        return True

    async def _generate(
        self, body: dict[str, Any], script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        if script.drop_connection_first:
            script.drop_connection_first = False
            writer.transport.abort()
            return False
        seen = Seen(body)
        self.seen.append(seen)
        self.begun.release()
        if script.status != 200:
            return await self._plain(writer, script.status, self._failure(script))
        gone = asyncio.ensure_future(reader.read(1))
        stream = asyncio.ensure_future(self._stream(seen, script, writer))
        try:
            await asyncio.wait({gone, stream}, return_when=asyncio.FIRST_COMPLETED)
            if not stream.done():
                seen.aborted = True
                return False
            return bool(stream.result()) and not gone.done()
        finally:
            for task in (gone, stream):
                task.cancel()
            try:
                await asyncio.gather(gone, stream, return_exceptions=True)
            finally:
                seen.ended.set()

    @staticmethod
    def _failure(script: Script) -> object:
        return script.error or {}

    async def _stream(self, seen: Seen, script: Script, writer: asyncio.StreamWriter) -> bool:
        served = f"x-adapter-id: {script.served_by}\r\n" if script.served_by else ""
        head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
        writer.write(f"{head}{served}transfer-encoding: chunked\r\n\r\n".encode())
        await asyncio.sleep(script.first_delay)
        if script.error is not None:
            self._chunk(writer, b"data:" + json.dumps(self._failure(script)).encode() + b"\n\n")
            self._chunk(writer, b"")
            return True
        for block in script.raw or []:
            self._chunk(writer, block)
            await writer.drain()
            await asyncio.sleep(0.01)
        if script.raw is not None:
            self._chunk(writer, b"")
            return True
        return await self._tokens(seen, script, writer)

    async def _tokens(self, seen: Seen, script: Script, writer: asyncio.StreamWriter) -> bool:
        ending = script.finish == "eos_token"
        texts = [*script.tokens, "<|im_end|>"] if ending else script.tokens
        for place, text in enumerate(texts):
            if script.stall_after == place:
                await asyncio.sleep(3600)
            if script.reset_after == place:
                await writer.drain()
                self._reset(writer)
                return False
            if script.close_after == place:
                return False
            if writer.transport.is_closing():
                return False
            last = place == len(texts) - 1
            event = self._event(script, place, text, special=ending and last and script.end_special)
            if last:
                event["generated_text"] = "".join(script.tokens)
                event["details"] = {
                    "finish_reason": script.finish,
                    "generated_tokens": script.completion_tokens or len(texts),
                    "input_length": script.prompt_tokens,
                    "seed": None,
                }
            seen.emitted += 1
            block = b"data:" + json.dumps(event, ensure_ascii=False).encode() + b"\n\n"
            await self._send(writer, block, script.split)
            if script.delay:
                await asyncio.sleep(script.delay)
        self._chunk(writer, b"")
        return True

    async def _send(self, writer: asyncio.StreamWriter, block: bytes, split: int | None) -> None:
        size = split or len(block)
        for start in range(0, len(block), size):
            self._chunk(writer, block[start : start + size])
            await writer.drain()
            if split:
                await asyncio.sleep(0)

    @staticmethod
    def _event(script: Script, place: int, text: str, *, special: bool) -> dict[str, Any]:
        logprob = script.logprob if script.logprobs else None
        event: dict[str, Any] = {
            "index": place + 1,
            "token": {"id": place, "text": text, "logprob": logprob, "special": special},
            "generated_text": None,
            "details": None,
        }
        if script.top:
            event["top_tokens"] = [
                {"id": 0, "text": other, "logprob": value, "special": False} for other, value in script.top
            ]
        return event

    @staticmethod
    def _chunk(writer: asyncio.StreamWriter, block: bytes) -> None:
        writer.write(b"%x\r\n%b\r\n" % (len(block), block))

    @staticmethod
    def _reset(writer: asyncio.StreamWriter) -> None:
        raw: socket.socket = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
