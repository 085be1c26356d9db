"""What a kept answer costs in this process: naming, finding, opening and replaying it, against a plain dict.

Both sides render the same body from the same tokens. Entries are in memory, so Valkey has no part in it.
`python -m tests.benchmarks.cache`.
"""

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

from redis.asyncio import Redis

from inference.backends.interface import BackendAddress, BackendStream, End, GenerationCall, Piece
from inference.gateway.answering.answers import Answer, Choice
from inference.gateway.cache.answers import AnswerCache
from inference.gateway.cache.flights import Replay
from inference.gateway.cache.naming import Question
from inference.gateway.cache.recording import Recording
from inference.gateway.cache.secret import seal_secret, sealing_key
from inference.gateway.contract import (
    ChatMessage,
    Ended,
    Finished,
    GenerationRequest,
    Principal,
    Started,
    Token,
    Usage,
)
from inference.gateway.entries import CACHE_PREFIX, Deployment, read_entry
from inference.gateway.http import Exchange
from inference.gateway.ids import uuid7
from inference.gateway.planning.plans import Plan
from inference.gateway.snapshot import Snapshot
from inference.gateway.surfaces.rendering import ChatDialect
from tests.benchmarks.figures import Figure, against, keep
from tests.inference.gateway.house import PEPPER, config

ROUNDS = 9
HITS = 2000
ORGANIZATION = UUID(int=7)
PROMPT = "<|im_start|>user\nWhat is the capital of France, and since when?<|im_end|>\n<|im_start|>assistant\n"
DEPLOYMENT = Deployment(
    alias="support",
    deployment_id=str(uuid4()),
    model_version_id=str(uuid4()),
    created_at=1,
    state="ready",
    digest="ab" * 32,
    adapter_id="adapter-" + "ab" * 32,
    backends=(BackendAddress("tgi", "http://127.0.0.1:1"),),
    chat_template="{{ messages }}",
    bos_token="",
    eos_token="",
    context_tokens=2048,
    default_max_tokens=256,
)


class Published:
    """A snapshot that holds one organization's secret."""

    def __init__(self) -> None:
        sealed = seal_secret(sealing_key(PEPPER), b"s" * 32, ORGANIZATION, 1)
        document = '{"organization_id": "%s", "generation": 1, "sealed": "%s"}'
        self._entry = read_entry(
            f"{CACHE_PREFIX}{ORGANIZATION}", document % (ORGANIZATION, base64.b64encode(sealed).decode())
        )

    async def cache(self, _: str) -> Any:
        return self._entry


def plan_of(tokens: int) -> Plan:
    """A request for an answer of so many tokens."""
    call = GenerationCall(
        prompt=f"{PROMPT}{tokens}", adapter_id=DEPLOYMENT.adapter_id, max_new_tokens=256, temperature=0
    )
    return Plan(
        request_id=uuid7(),
        principal=Principal(
            organization_id=str(ORGANIZATION),
            project_id=str(uuid4()),
            key_id=None,
            user_id=None,
            permissions=frozenset(),
        ),
        request=GenerationRequest(model="support", messages=(ChatMessage("user", "Hi"),), temperature=0),
        deployment=DEPLOYMENT,
        calls=(call,),
        prompt_tokens=(None,),
    )


def recording_of(tokens: int) -> Recording:
    """An answer as a model server gives it."""
    words = (" the", " capital", " of", " France", " is", " Paris", ",", " since", " 987")
    pieces = tuple(Piece(words[place % len(words)], False, -0.1 * (place % 7)) for place in range(tokens))
    return Recording(pieces, End("eos_token", 24, tokens), int(time.time()))


async def rendered(stream: BackendStream, plan: Plan) -> bytes:
    """The body, from a stream's events."""
    choice = Choice()
    while isinstance(event := await stream.next(), Piece):
        choice.tokens.append(Token(event.text))
    choice.ended = Ended(0, "stop", event.reason)
    finished = Finished("stop", Usage(event.prompt_tokens, event.completion_tokens))
    return ChatDialect().whole(cast(Exchange, None), plan, Answer([choice], started_of(plan), finished))


def started_of(plan: Plan) -> Started:
    """What a generation begins with."""
    return Started(
        request_id=str(plan.request_id),
        created=plan.created,
        model=plan.request.model,
        deployment_id=plan.deployment.deployment_id,
        model_version_id=plan.deployment.model_version_id,
        digest=plan.deployment.digest,
    )


async def cpu_us(act: Callable[[], Awaitable[bytes]]) -> float:
    """CPU time of this process for one act."""
    began = time.process_time()
    for _ in range(HITS):
        await act()
    return (time.process_time() - began) / HITS * 1e6


async def figures() -> list[Figure]:
    """Short and long answers, the best of interleaved rounds."""
    valkey: Redis = Redis(port=1)
    snapshot = cast(Snapshot, Published())
    cache = AnswerCache(config("redis://127.0.0.1:1", Path("/nonexistent")), valkey=valkey, snapshot=snapshot)
    found = []
    for tokens in (16, 64, 256):
        plan, recording = plan_of(tokens), recording_of(tokens)
        question = Question(plan.principal.project_id, plan.deployment, plan.call)
        table = {(question.project_id, plan.deployment.digest, plan.call.prompt, plan.call.stop): recording}

        async def generate(_: GenerationCall, made: Recording = recording) -> BackendStream:
            return Replay(made)

        async def hit(plan: Plan = plan, question: Question = question) -> bytes:
            opened = await cache.open(str(ORGANIZATION), question, "auto", generate)
            assert opened.outcome == "hit"
            return await rendered(opened.stream, plan)

        async def plain(plan: Plan = plan, table: Any = table) -> bytes:
            name = (plan.principal.project_id, plan.deployment.digest, plan.call.prompt, plan.call.stop)
            return await rendered(Replay(table[name]), plan)

        made = await cache.open(str(ORGANIZATION), question, "refresh", generate)
        body = await rendered(made.stream, plan)
        await asyncio.sleep(0.01)
        assert await hit() == await plain() == body
        rounds = [(await cpu_us(hit), await cpu_us(plain)) for _ in range(ROUNDS)]
        best = [min(one) for one in zip(*rounds, strict=True)]
        found.append(
            against(f"cpu of a hit of {tokens} tokens", best[0], "us", peer="plain dict", peer_value=best[1])
        )
    await valkey.aclose()
    return found


def main() -> list[Figure]:
    """Measure, keep and return the figures."""
    found = asyncio.run(figures())
    keep("cache", found)
    return found


if __name__ == "__main__":
    main()
