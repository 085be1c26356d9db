"""The virtual pods served over HTTP in real time, in the words of vLLM.

`python -m tests.benchmarks.data_plane.pods PACE SECONDS A_SECOND SEED PORT…`: a pod at each port; `PACE`
seconds of theirs pass in one. They know from the trace how long each answer is to be. A chunk holds up to
`CHUNK_TOKENS` tokens (vLLM's `--stream-interval`), the first chunk one. An adapter is named by `model`, as
vLLM has it, or by `lora_path`, as SGLang has it.
"""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import orjson
import uvicorn

from tests.benchmarks.virtual_pods import (
    BLOCK_TOKENS,
    CACHE_BLOCKS,
    CHARACTERS_A_TOKEN,
    Conversation,
    Pod,
    Turn,
    World,
    conversations,
)

CHUNK_TOKENS = 16
BASE = "base"
_IDLE_SECONDS = 60
_METRICS = """# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{model_name="{base}"}} {running}
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{{model_name="{base}"}} {waiting}
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{{model_name="{base}"}} {usage}
# TYPE pod_work_tokens counter
pod_work_tokens {work}
# TYPE pods_late_seconds gauge
pods_late_seconds {late}
"""
Scope = dict[str, Any]


class LiveWorld(World):
    """A world whose clock is the machine's, `pace` times as fast.

    What happens late on the machine happens in time here: lateness does not add up.
    """

    def __init__(self, pace: float) -> None:
        super().__init__()
        self._loop, self._pace = asyncio.get_running_loop(), pace
        self._began = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._late_seconds, self._times = 0.0, 0

    @property
    def late_seconds(self) -> float:
        """By how much things happen late on the machine, on average."""
        return self._late_seconds / max(1, self._times)

    def at(self, seconds: float, act: Callable[[], None]) -> None:
        """As `World.at`."""
        super().at(seconds, act)
        if self.next_at == seconds:
            self._arm()

    def catch_up(self) -> None:
        """Let happen what is due by now."""
        elapsed = (self._loop.time() - self._began) * self._pace
        if self.next_at <= elapsed:
            self._late_seconds += (elapsed - self.next_at) / self._pace
            self._times += 1
        self.run(until=elapsed)
        self.now = elapsed

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._began + self.next_at / self._pace, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self.catch_up()
        if self._timer is None and self._due:
            self._arm()


class Pods:
    """The application: each pod has a port."""

    def __init__(self, world: LiveWorld, ports: Sequence[int], script: Sequence[Conversation]) -> None:
        self._world = world
        self._pods = {port: Pod(world) for port in ports}
        turns = [turn for one in script for turn in one.turns]
        self._answers: Mapping[int, int] = {
            hash((turn.adapter, turn.prompt)): turn.answer_tokens for turn in turns
        }
        words = {"object": "model", "created": 1, "owned_by": "vllm", "max_model_len": 131072}
        models = [{"id": BASE, **words, "root": BASE, "parent": None}]
        models += [
            {"id": name, **words, "root": name, "parent": BASE}
            for name in sorted({turn.adapter for turn in turns})
        ]
        # smg takes a server for vLLM, whose metrics tell its load, by the models' owner and the version.
        self._told = {
            "/health": b"",
            "/version": b'{"version":"0.21.0"}',
            "/v1/models": orjson.dumps({"object": "list", "data": models}),
        }

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """One request."""
        pod = self._pods[scope["server"][1]]
        path = scope["path"]
        if path == "/v1/completions":
            await _stream(self._chunks(pod, orjson.loads(await _body(receive))), send)
        elif path == "/metrics":
            await _whole(200, self._metrics(pod), send)
        elif path in self._told:
            await _whole(200, self._told[path], send)
        else:
            await _whole(404, b'{"error":{"message":"Not Found","code":404}}', send)

    def _metrics(self, pod: Pod) -> bytes:
        usage = min(1.0, pod.held_tokens / (CACHE_BLOCKS * BLOCK_TOKENS))
        counts = {"running": pod.running, "waiting": pod.waiting, "work": pod.work}
        return _METRICS.format(base=BASE, usage=usage, late=self._world.late_seconds, **counts).encode()

    async def _chunks(self, pod: Pod, asked: dict[str, Any]) -> AsyncIterator[bytes]:
        turn = Turn(asked.get("lora_path") or asked["model"], asked["prompt"], 0)
        turn.answer_tokens = self._answers[hash((turn.adapter, turn.prompt))]
        written: asyncio.Queue[int] = asyncio.Queue()
        turn.on_first_token = lambda: written.put_nowait(1)
        turn.on_token = lambda: None if turn.written % CHUNK_TOKENS else written.put_nowait(turn.written)
        turn.on_end = lambda: written.put_nowait(turn.answer_tokens)
        self._world.catch_up()
        pod.ask(turn)
        told = 0
        while told < turn.answer_tokens:
            tokens = await written.get()
            yield _chunk(turn, "word " * (tokens - told), tokens, ended=tokens >= turn.answer_tokens)
            told = tokens
        yield b"data: [DONE]\n\n"


def _chunk(turn: Turn, text: str, tokens: int, *, ended: bool) -> bytes:
    prompt_tokens = len(turn.prompt) // CHARACTERS_A_TOKEN
    usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": tokens,
        "total_tokens": prompt_tokens + tokens,
    }
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": "stop" if ended else None}
    head = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": turn.adapter}
    return b"data: " + orjson.dumps({**head, "choices": [choice], "usage": usage}) + b"\n\n"


async def _body(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


async def _whole(status: int, body: bytes, send: Any) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _stream(chunks: AsyncIterator[bytes], send: Any) -> None:
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    async for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _listening(port: int) -> socket.socket:
    """A socket that is named TCP's: of others asyncio leaves small packets to wait for one another."""
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.bind(("127.0.0.1", port))
    return found


async def serve(pace: float, script: Sequence[Conversation], ports: Sequence[int]) -> None:
    """Serve until killed."""
    served = Pods(LiveWorld(pace), ports, script)
    sockets = [_listening(port) for port in ports]
    settings = uvicorn.Config(
        served, lifespan="off", access_log=False, log_level="error", timeout_keep_alive=_IDLE_SECONDS
    )
    await uvicorn.Server(settings).serve(sockets)


def main() -> None:
    """Read the command line and serve."""
    pace, seconds, a_second = (float(word) for word in sys.argv[1:4])
    script = conversations(seconds=seconds, a_second=a_second, seed=int(sys.argv[4]))
    asyncio.run(serve(pace, script, [int(word) for word in sys.argv[5:]]))


if __name__ == "__main__":
    main()
