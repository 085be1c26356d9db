"""Generation of an answer, apart from any socket: one task of this process owns it to its end."""

import asyncio
from uuid import UUID

import structlog
from channels.db import database_sync_to_async
from redis.exceptions import RedisError

from inference.chat.models import MessageState
from inference.chat.services import Order
from inference.chat.settlement import Interrupted, Outcome, settle
from inference.chat.streams import AnswerStream, StreamLost
from inference.gateway.contract import ChatCompleter, Finished, GenerationRequest, Principal, Started, Token
from kernel.errors import DomainError, Unavailable

BEAT_SECONDS = 0.25
MAX_ANSWER_TOKENS = 1024
TEMPERATURE = 0.7
STORE_DELAYS_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)

log = structlog.get_logger()

_running: "dict[UUID, asyncio.Task[None]]" = {}


def start(gateway: ChatCompleter, order: Order) -> None:
    """Begin to write an answer in this process; returns at once, whoever looks on may leave."""
    task = asyncio.create_task(_Answer(gateway, order).write(), name=f"answer-{order.message_id}")
    _running[order.message_id] = task
    task.add_done_callback(lambda _: _running.pop(order.message_id, None))


async def wait_for_all() -> None:
    """Wait until every answer of this process has ended."""
    await asyncio.gather(*_running.values(), return_exceptions=True)


async def interrupt_all() -> None:
    """End every answer of this process now, each stored as far as it came."""
    for task in list(_running.values()):
        task.cancel()
    await wait_for_all()


class _Answer:
    """One answer under way."""

    def __init__(self, gateway: ChatCompleter, order: Order) -> None:
        self._gateway, self._order = gateway, order
        self._stream = AnswerStream(order.message_id, order.stream_key)
        self._parts: list[str] = []
        self._digest = ""
        self._finished: Finished | None = None
        self._stopped = False

    async def write(self) -> None:
        """Generate, then store; the sign of life is renewed until the answer is stored."""
        generating = asyncio.create_task(self._generate())
        watching = asyncio.create_task(self._watch(generating))
        try:
            await asyncio.wait([generating])
        except asyncio.CancelledError:
            generating.cancel()
            await asyncio.wait([generating])
        try:
            await self._store(self._outcome(generating))
        finally:
            watching.cancel()

    async def _generate(self) -> None:
        events = self._gateway.complete(self._principal(), self._request())
        try:
            async for event in events:
                match event:
                    case Started():
                        self._digest = event.digest
                    case Token() if event.text:
                        self._stream.make_room(event.text)
                        self._parts.append(event.text)
                        await self._stream.append(len(self._parts), event.text)
                    case Finished():
                        self._finished = event
        finally:
            await events.aclose()

    async def _watch(self, generating: "asyncio.Task[None]") -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                asked = await self._stream.beat()
            except RedisError:
                continue
            if asked and not self._stopped:
                self._stopped = True
                generating.cancel()

    def _outcome(self, generating: "asyncio.Task[None]") -> Outcome:
        text = "".join(self._parts)
        if generating.cancelled():
            if self._stopped:
                return Outcome(MessageState.STOPPED, text, self._digest)
            return self._failed(text, Interrupted())
        fault = generating.exception()
        if fault is not None:
            return self._failed(text, fault)
        if self._finished is None:
            return self._failed(text, DomainError())
        return Outcome(
            MessageState.COMPLETE,
            text,
            self._digest,
            self._finished.finish_reason,
            self._finished.usage.prompt_tokens,
            self._finished.usage.completion_tokens,
        )

    def _failed(self, text: str, fault: BaseException) -> Outcome:
        if isinstance(fault, RedisError | StreamLost):
            fault = Unavailable("The answer could not be streamed to its end; what came is kept.")
        elif not isinstance(fault, DomainError):
            log.error("chat.generation_crashed", message_id=str(self._order.message_id), exc_info=fault)
            fault = DomainError()
        error = dict(fault.body()["error"])
        return Outcome(MessageState.FAILED, text, self._digest, error=error)

    async def _store(self, outcome: Outcome) -> None:
        for delay in (*STORE_DELAYS_SECONDS, None):
            try:
                await database_sync_to_async(settle, thread_sensitive=False)(
                    self._order.organization_id, self._order.message_id, outcome
                )
                break
            except Exception:
                # Given up on, the answer is settled from its stream by the sweep.
                log.exception("chat.answer_not_stored", message_id=str(self._order.message_id), retry=delay)
                if delay is None:
                    return
                await asyncio.sleep(delay)
        try:
            await self._stream.end(len(self._parts) + 1)
        except (RedisError, StreamLost):
            log.warning("chat.end_not_told", message_id=str(self._order.message_id))

    def _principal(self) -> Principal:
        return Principal(
            organization_id=str(self._order.organization_id),
            project_id=str(self._order.project_id),
            key_id=None,
            user_id=str(self._order.user_id),
            permissions=frozenset({"inference.complete"}),
        )

    def _request(self) -> GenerationRequest:
        return GenerationRequest(
            model=self._order.model,
            messages=self._order.history,
            max_tokens=MAX_ANSWER_TOKENS,
            temperature=TEMPERATURE,
            stream=True,
            include_usage=True,
            surface="chat",
            cache="anew" if self._order.anew else "auto",
        )
