"""Holds a trace's conversations over one way, in real time, and notes when each answer begins."""

import asyncio
import time

import orjson

from inference.backends.http11 import Pool
from tests.benchmarks.data_plane.peers import GatewayWay, Way
from tests.benchmarks.data_plane.pods import BASE
from tests.benchmarks.data_plane.routers import Trace
from tests.benchmarks.virtual_pods import MOST_ANSWER_TOKENS, Conversation, Turn

_PATIENCE_SECONDS = 60.0
_END = b"[DONE]\n\n"


async def first_tokens(way: Way, trace: Trace) -> list[float]:
    """Seconds of the pods' time from each turn's question to the first token of its answer.

    What would be asked after the trace's seconds is not: its last conversations are not waited for.
    """
    pool = Pool(way.url, bearer=way.key, connect_seconds=5)
    began = time.perf_counter()
    waits: list[float] = []

    async def hold(conversation: Conversation) -> None:
        await asyncio.sleep(began + conversation.begins_at / trace.pace - time.perf_counter())
        for turn, think in zip(conversation.turns, conversation.thinks, strict=True):
            waits.append(await _asked(way, pool, turn) * trace.pace)
            if time.perf_counter() - began + think / trace.pace > trace.seconds / trace.pace:
                return
            await asyncio.sleep(think / trace.pace)

    async with asyncio.TaskGroup() as group:
        for one in trace.script():
            group.create_task(hold(one))
    await pool.aclose()
    return waits


async def _asked(way: Way, pool: Pool, turn: Turn) -> float:
    """Seconds to the first token; returns when the answer is whole."""
    # smg knows one model of a server, and passes on SGLang's word for an adapter of it.
    named = (
        {"model": turn.adapter} if isinstance(way, GatewayWay) else {"model": BASE, "lora_path": turn.adapter}
    )
    asked = {"prompt": turn.prompt, "max_tokens": MOST_ANSWER_TOKENS, "stream": True}
    body = orjson.dumps({**named, **asked, "stream_options": {"include_usage": True}})
    began, first, tail = time.perf_counter(), 0.0, b""
    connection = await pool.post("/v1/completions", body, timeout_seconds=_PATIENCE_SECONDS)
    assert connection.status == 200, (way.name, connection.status, await connection.whole(1))
    while part := await connection.read(_PATIENCE_SECONDS):
        if not first and b"word" in part:
            first = time.perf_counter() - began
        tail = (tail + part)[-len(_END) :]
    connection.release()
    assert first > 0, f"{way.name} answered without a word"
    assert tail == _END, (way.name, tail)
    return first
