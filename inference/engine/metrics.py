"""Counters under TGI's metric names, in Prometheus' text format."""

from collections import Counter
from collections.abc import Iterable

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_TOKENS = (1, 8, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
_HISTOGRAMS: dict[str, tuple[float, ...]] = {
    "tgi_request_duration": _SECONDS,
    "tgi_request_queue_duration": _SECONDS,
    "tgi_request_inference_duration": _SECONDS,
    "tgi_request_mean_time_per_token_duration": _SECONDS,
    "tgi_request_input_length": _TOKENS,
    "tgi_request_max_new_tokens": _TOKENS,
    "tgi_request_generated_tokens": _TOKENS,
}


class Histogram:
    """Cumulative buckets of one quantity."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds, self.counts = bounds, [0] * len(bounds)
        self.sum, self.count = 0.0, 0

    def observe(self, value: float) -> None:
        self.sum += value
        self.count += 1
        for i, bound in enumerate(self.bounds):
            self.counts[i] += value <= bound

    def lines(self, name: str) -> Iterable[str]:
        for bound, count in zip(self.bounds, self.counts, strict=True):
            yield f'{name}_bucket{{le="{bound:g}"}} {count}'
        yield f'{name}_bucket{{le="+Inf"}} {self.count}'
        # Not rounded: what was generated is compared with what was recorded.
        yield f"{name}_sum {self.sum!r}"
        yield f"{name}_count {self.count}"


class Metrics:
    """What one pod counted since it started. No label names a tenant or an adapter."""

    def __init__(self) -> None:
        self.requests = 0
        self.successes = 0
        self.failures: Counter[str] = Counter()
        self._histograms = {name: Histogram(bounds) for name, bounds in _HISTOGRAMS.items()}

    def observe(self, name: str, value: float) -> None:
        """Add `value` (seconds or tokens) to TGI's histogram `tgi_request_<name>`."""
        self._histograms[f"tgi_request_{name}"].observe(value)

    def render(self, gauges: dict[str, float]) -> str:
        """Return the exposition text with the gauges of this moment."""
        lines = _family("tgi_request_count", "counter", [f"tgi_request_count {self.requests}"])
        lines += _family("tgi_request_success", "counter", [f"tgi_request_success {self.successes}"])
        failures = [f'tgi_request_failure{{err="{k}"}} {n}' for k, n in sorted(self.failures.items())]
        lines += _family("tgi_request_failure", "counter", failures)
        for name, value in gauges.items():
            lines += _family(name, "gauge", [f"{name} {value:g}"])
        for name, histogram in self._histograms.items():
            lines += _family(name, "histogram", histogram.lines(name))
        return "\n".join(lines) + "\n"


def _family(name: str, kind: str, samples: Iterable[str]) -> list[str]:
    return [f"# TYPE {name} {kind}", *samples]
