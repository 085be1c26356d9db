"""What the gateway costs beside nginx, a bare proxy in Python, vLLM's router and LiteLLM.

All are asked in turn over the same models, so that what else the machine does meets all alike; each figure is
the median of its rounds. CPU time is that of a way's own processes. It needs `nginx` and `wrk`.
`python -m tests.benchmarks.gateway`.
"""

import asyncio
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from tests.benchmarks.data_plane.load import Answered, Streamed, answers, streams
from tests.benchmarks.data_plane.peers import Missing, Way, Ways
from tests.benchmarks.figures import Figure, against, at_least_of, at_most_of, keep

ROUNDS = 5
SECONDS = 2.0
AT_ONCE = (1, 32)
FRONTIER = (1, 2, 4, 8, 16, 32, 64)
WITHIN_MS = (10.0, 50.0)
STREAMS, CHUNKS, CHUNK_SECONDS = 32, 64, 0.02
WARM_SECONDS = 1.0
Figures = list[Figure]
Measured = TypeVar("Measured")


def median(rounds: Sequence[Measured], of: Callable[[Measured], float]) -> float:
    """The median of one thing over the rounds."""
    return statistics.median(of(one) for one in rounds)


def whole_answers(ways: Sequence[Way], folder: Path) -> Figures:
    """CPU time of an answer, one at a time and many at once."""
    found: dict[tuple[str, int], list[Answered]] = {}
    for way in ways:
        answers(way, folder, at_once=AT_ONCE[-1], seconds=WARM_SECONDS)
    for _ in range(ROUNDS):
        for way in ways:
            for at_once in AT_ONCE:
                told = answers(way, folder, at_once=at_once, seconds=SECONDS)
                found.setdefault((way.name, at_once), []).append(told)
    figures = []
    for at_once in AT_ONCE:
        costs = {way.name: median(found[way.name, at_once], lambda one: one.cpu_us) for way in ways}
        name, ours = f"processor time of a request, {at_once} at once", costs["gateway"]
        of = {peer: {"peer": peer, "peer_value": costs[peer]} for peer in costs}
        figures += [
            at_most_of(name, ours, "us", **of["LiteLLM"], share=1 / 20),
            at_most_of(name, ours, "us", **of["floor"], share=3),
            against(name, ours, "us", **of["vllm-router"]),
            against(name, ours, "us", **of["nginx"]),
        ]
        times = {way.name: median(found[way.name, at_once], lambda one: one.p50_ms) for way in ways}
        added = {name: one - times["direct"] for name, one in times.items()}
        figures.append(
            against(
                f"time added to an answer, {at_once} at once",
                *(added["gateway"], "ms"),
                peer="LiteLLM",
                peer_value=added["LiteLLM"],
            )
        )
    return figures


def frontier(ways: Sequence[Way], folder: Path) -> Figures:
    """The most answers a second while the 99th of a hundred stays within a time."""
    best = {(way.name, within): 0.0 for way in ways for within in WITHIN_MS}
    for at_once in FRONTIER:
        for way in ways:
            told = answers(way, folder, at_once=at_once, seconds=SECONDS)
            for within in WITHIN_MS:
                if told.p99_ms <= within:
                    best[way.name, within] = max(best[way.name, within], told.rate)
    figures = []
    for within in WITHIN_MS:
        name, ours = f"answers a second, the 99th within {within:g} ms", best["gateway", within]
        floor, litellm = best["floor", within], best["LiteLLM", within]
        figures.append(at_least_of(name, ours, "1/s", peer="floor", peer_value=floor, share=0.4))
        figures.append(against(name, ours, "1/s", peer="LiteLLM", peer_value=litellm))
    return figures


async def streamed(ways: Sequence[Way]) -> Figures:
    """CPU time of a chunk, time to the first one, gaps between them."""
    found: dict[str, list[Streamed]] = {}
    for _ in range(ROUNDS):
        for way in ways:
            found.setdefault(way.name, []).append(await streams(way, at_once=STREAMS))
    costs = {name: median(rounds, lambda one: one.cpu_us) for name, rounds in found.items()}
    first = {name: median(rounds, lambda one: one.first_ms) for name, rounds in found.items()}
    added = {name: one - first["direct"] for name, one in first.items()}
    gaps = {name: median(rounds, lambda one: one.gap_p99_ms) for name, rounds in found.items()}
    chunks = {name: min(one.chunks for one in rounds) for name, rounds in found.items()}
    cost, first_token = (
        f"processor time of a chunk, {STREAMS} streams",
        f"added to the first token, {STREAMS} streams",
    )
    return [
        at_most_of(cost, costs["gateway"], "us", peer="LiteLLM", peer_value=costs["LiteLLM"], share=1 / 8),
        against(cost, costs["gateway"], "us", peer="floor", peer_value=costs["floor"]),
        against(cost, costs["gateway"], "us", peer="vllm-router", peer_value=costs["vllm-router"]),
        at_most_of(
            first_token, added["gateway"], "ms", peer="LiteLLM", peer_value=added["LiteLLM"], share=1 / 20
        ),
        at_most_of(
            "gap between chunks, the 99th of a hundred",
            *(gaps["gateway"], "ms"),
            peer="direct",
            peer_value=gaps["direct"],
            share=1.25,
        ),
        at_least_of(
            "chunks of a stream",
            chunks["gateway"],
            "chunks",
            peer="direct",
            peer_value=chunks["direct"],
            share=1,
        ),
    ]


def kept_answers(ours: Way, litellm: Way, folder: Path) -> Figures:
    """CPU time of an answer that is kept: ours is sealed, theirs lies open in the process's memory."""
    found: dict[str, list[Answered]] = {}
    for way in (ours, litellm):
        answers(way, folder, at_once=AT_ONCE[-1], seconds=WARM_SECONDS, temperature=0)
    for _ in range(ROUNDS):
        for way in (ours, litellm):
            told = answers(way, folder, at_once=AT_ONCE[-1], seconds=SECONDS, temperature=0)
            found.setdefault(way.name, []).append(told)
    costs = {name: median(rounds, lambda one: one.cpu_us) for name, rounds in found.items()}
    return [
        at_most_of(
            f"processor time of a kept answer, {AT_ONCE[-1]} at once",
            *(costs[ours.name], "us"),
            peer="LiteLLM, unsealed",
            peer_value=costs[litellm.name],
            share=1 / 15,
        )
    ]


def memory(ours: Way, litellm: Way) -> Figure:
    """After all of it."""
    theirs = litellm.memory_mib()
    return against("memory after the load", ours.memory_mib(), "MiB", peer="LiteLLM", peer_value=theirs)


async def figures() -> Figures:
    """All of them. Raises `Missing`."""
    found: Figures = []
    with ExitStack() as stack, tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        start = Ways(stack, folder)
        model = start.nginx_model()
        ours, litellm = await start.gateway(model), start.litellm(model)
        ways = [model, start.nginx(model), start.floor(model), start.router(model), ours, litellm]
        found += whole_answers(ways, folder)
        found += frontier(ways, folder)
        found += kept_answers(ours, start.litellm(model, cache=True), folder)
        found.append(memory(ours, litellm))
    with ExitStack() as stack, tempfile.TemporaryDirectory() as place:
        start = Ways(stack, Path(place))
        model = start.slow_model(chunks=CHUNKS, seconds=CHUNK_SECONDS)
        others = [start.nginx(model), start.floor(model), start.router(model), start.litellm(model)]
        found += await streamed([model, await start.gateway(model), *others])
    return found


def main() -> Figures:
    """Measure, keep and return the figures."""
    try:
        found = asyncio.run(figures())
    except Missing as why:
        sys.exit(str(why))
    keep("gateway", found)
    return found


if __name__ == "__main__":
    main()
