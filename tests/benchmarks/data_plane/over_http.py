"""The same conversations over HTTP, in real time: through the gateway, through smg, and to each pod in turn.

Every way begins with pods and a process of its own that know nothing, and the ways take turns.
"""

import statistics
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from tests.benchmarks.data_plane.conversing import first_tokens
from tests.benchmarks.data_plane.routers import PodWays, ServedPods, Trace
from tests.benchmarks.figures import Figure, against, at_most_of

PODS = 4
NAMES = ("gateway", "smg", "round robin")
GOALS = {"smg": 0.95, "round robin": 0.5}


@dataclass(frozen=True)
class Held:
    """Milliseconds of the pods' time to the first token, mean and of the slowest hundredth; the busiest pod
    over the mean; tokens that the pods read and wrote for each turn; by how many milliseconds of the
    machine's time their steps were late on average."""

    mean_ms: float
    slow_ms: float
    busiest: float
    tokens: float
    late_ms: float


class Beside(TypedDict):
    """The words of a figure that stands beside a peer's."""

    value: float
    unit: str
    peer: str
    peer_value: float


_REST: tuple[tuple[str, str, Callable[[Held], float]], ...] = (
    ("slowest hundredth over HTTP", "ms", lambda one: one.slow_ms),
    ("busiest pod over the mean over HTTP", "times", lambda one: one.busiest),
    ("tokens that the pods worked on for a turn over HTTP", "tokens", lambda one: one.tokens),
)


async def held(name: str, trace: Trace) -> Held:
    """One way's turn at a trace."""
    with ExitStack() as stack, tempfile.TemporaryDirectory() as place:
        start = PodWays(stack, Path(place))
        pods = start.pods(trace, PODS)
        if name == "gateway":
            waits = await first_tokens(await start.gateway_over(pods, trace), trace)
        else:
            way = start.smg(pods, trace) if name == "smg" else start.in_turn(pods)
            waits = await first_tokens(way, trace)
        return _summary(waits, pods)


def _summary(waits: list[float], pods: ServedPods) -> Held:
    waits.sort()
    work = pods.told("pod_work_tokens")
    return Held(
        mean_ms=statistics.mean(waits) * 1e3,
        slow_ms=waits[int(len(waits) * 0.99)] * 1e3,
        busiest=max(work) / statistics.mean(work),
        tokens=sum(work) / len(waits),
        late_ms=pods.told("pods_late_seconds")[0] * 1e3,
    )


async def figures(traces: Sequence[Trace]) -> list[Figure]:
    """Means over the traces. Raises `Missing`."""
    found: dict[str, list[Held]] = {name: [] for name in NAMES}
    for trace in traces:
        for name in NAMES:
            found[name].append(await held(name, trace))
    late = max(one.late_ms for told in found.values() for one in told)
    return [
        *(
            at_most_of("mean time to first token over HTTP", **words, share=GOALS[words["peer"]])
            for words in _beside(found, "ms", lambda one: one.mean_ms)
        ),
        *(against(name, **words) for name, unit, of in _REST for words in _beside(found, unit, of)),
        Figure("lateness of the pods' steps over HTTP, the worst run's mean", late, "ms"),
    ]


def _beside(found: dict[str, list[Held]], unit: str, of: Callable[[Held], float]) -> list[Beside]:
    """The gateway's mean beside each other way's."""
    mean = {name: statistics.mean(of(one) for one in told) for name, told in found.items()}
    return [
        {"value": mean["gateway"], "unit": unit, "peer": name, "peer_value": mean[name]} for name in GOALS
    ]
