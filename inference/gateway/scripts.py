"""Calls of Lua scripts on Valkey, many in one round trip: what waits while one is under way goes together."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from inference.gateway.workers import end

_BATCH = 200
_AWAY = (RedisError, OSError, TimeoutError)


class Unreachable(Exception):
    """Valkey did not answer."""


@dataclass(frozen=True, eq=False)
class _Call:
    script: str
    keys: Sequence[str]
    arguments: Sequence[Any]
    answer: "asyncio.Future[Any]"


class Scripts:
    """Runs scripts over one connection. `start` and `stop` run its worker."""

    def __init__(self, valkey: Redis, **sources: str) -> None:
        self._valkey, self._sources = valkey, sources
        self._digests: dict[str, str] = {}
        self._waiting: deque[_Call] = deque()
        self._arrived = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to send."""
        self._worker = asyncio.create_task(self._send_forever(), name="gateway-scripts")

    async def stop(self) -> None:
        """End; whoever still waits is told that Valkey cannot be reached."""
        await end([self._worker])
        for call in self._waiting:
            _conclude(call, Unreachable())

    async def run(self, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """The script's answer. Raises `Unreachable`."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Call(script, keys, arguments, answer))
        self._arrived.set()
        return await answer

    async def _send_forever(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                calls = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
                await self._send([call for call in calls if not call.answer.cancelled()])

    async def _send(self, calls: list[_Call]) -> None:
        try:
            answers = await self._execute(calls)
        except _AWAY as error:
            answers = [error] * len(calls)
        for call, answer in zip(calls, answers, strict=True):
            _conclude(call, Unreachable(type(answer).__name__) if isinstance(answer, Exception) else answer)

    async def _execute(self, calls: list[_Call]) -> list[Any]:
        if not self._digests:
            await self._load()
        answers = await self._evaluate(calls)
        forgotten = [place for place, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if forgotten:
            # A Valkey that was started anew knows no scripts; these calls changed nothing.
            await self._load()
            again = await self._evaluate([calls[place] for place in forgotten])
            for place, answer in zip(forgotten, again, strict=True):
                answers[place] = answer
        return answers

    async def _evaluate(self, calls: list[_Call]) -> list[Any]:
        pipeline = self._valkey.pipeline(transaction=False)
        for call in calls:
            pipeline.evalsha(self._digests[call.script], len(call.keys), *call.keys, *call.arguments)
        return list(await pipeline.execute(raise_on_error=False))

    async def _load(self) -> None:
        for name, source in self._sources.items():
            digest: bytes | str = await self._valkey.script_load(source)
            self._digests[name] = digest.decode() if isinstance(digest, bytes) else digest


def _conclude(call: _Call, answer: Any) -> None:
    if call.answer.done():
        return
    if isinstance(answer, Exception):
        call.answer.set_exception(answer)
    else:
        call.answer.set_result(answer)
