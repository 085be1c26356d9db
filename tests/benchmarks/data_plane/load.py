"""Load on one way: whole answers by `wrk`, streams by a client that notes when each chunk comes."""

import asyncio
import itertools
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from inference.backends.http11 import Pool
from tests.benchmarks.data_plane.model import CHAT, MODEL
from tests.benchmarks.data_plane.peers import Way, program

_PATIENCE_SECONDS = 60.0
_SCRIPT = """
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer {key}"
wrk.body = '{body}'
done = function(summary, latency)
    local errors = summary.errors
    io.write("\\nMEASURED ", string.format(
        '{{"requests": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f, "wrong": %d}}',
        summary.requests,
        summary.duration / 1e6,
        latency:percentile(50) / 1e3,
        latency:percentile(99) / 1e3,
        errors.status + errors.read + errors.connect + errors.timeout
    ))
end
"""


@dataclass(frozen=True)
class Answered:
    """Whole answers: microseconds of the way's CPU for each, how many a second, milliseconds they took."""

    cpu_us: float
    rate: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Streamed:
    """Streams: microseconds of the way's CPU for each chunk, milliseconds to the first chunk at the median,
    the 99th hundredth of the gaps, and chunks of a stream."""

    cpu_us: float
    first_ms: float
    gap_p99_ms: float
    chunks: float


def question(**changes: Any) -> bytes:
    """A question to the model."""
    return orjson.dumps({"model": MODEL, "messages": [{"role": "user", "content": "Hello there"}], **changes})


def answers(way: Way, folder: Path, *, at_once: int, seconds: float, **changes: Any) -> Answered:
    """Ask again and again for some seconds; every answer must be a 200."""
    script = folder / "question.lua"
    script.write_text(_SCRIPT.format(key=way.key, body=question(**changes).decode()))
    command = [program("wrk"), "-t1", f"-c{at_once}", f"-d{max(1, round(seconds))}s", "--timeout", "60s"]
    before = way.cpu_seconds()
    done = subprocess.run(
        [*command, "-s", str(script), way.address], check=True, capture_output=True, text=True
    )
    cpu = way.cpu_seconds() - before
    found = orjson.loads(done.stdout.rpartition("MEASURED ")[2])
    assert found["wrong"] == 0, f"{way.name}: {found}"
    return Answered(
        cpu / found["requests"] * 1e6, found["requests"] / found["seconds"], found["p50_ms"], found["p99_ms"]
    )


async def streams(way: Way, *, at_once: int) -> Streamed:
    """Have so many answers streamed at once."""
    pool = Pool(way.url, bearer=way.key, connect_seconds=5)
    body = question(stream=True)

    async def one() -> tuple[float, list[float], int]:
        began = time.perf_counter()
        connection = await pool.post(CHAT.decode(), body, timeout_seconds=_PATIENCE_SECONDS)
        assert connection.status == 200, (way.name, connection.status)
        times: list[float] = []
        came, chunks = b"", 0
        while part := await connection.read(_PATIENCE_SECONDS):
            now = time.perf_counter()
            lines = (came + part).split(b"\n")
            came = lines.pop()
            said = sum(b"word" in line for line in lines)
            chunks += said
            times += [now] * said
        connection.release()
        return (
            times[0] - began,
            [later - sooner for sooner, later in itertools.pairwise(times)],
            chunks,
        )

    before = way.cpu_seconds()
    found = await asyncio.gather(*(one() for _ in range(at_once)))
    cpu = way.cpu_seconds() - before
    await pool.aclose()
    gaps = sorted(gap for _, one_gaps, _ in found for gap in one_gaps)
    chunks = sum(chunks for _, _, chunks in found)
    return Streamed(
        cpu / chunks * 1e6,
        statistics.median(first for first, _, _ in found) * 1e3,
        gaps[int(len(gaps) * 0.99)] * 1e3,
        chunks / at_once,
    )
