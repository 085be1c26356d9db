"""What a model server says that it generated, beside what was recorded."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import redis

from inference.engine.metrics import Metrics
from inference.usage import counters
from inference.usage.counters import LOOKS, Comparison, generated_tokens
from tests.cast import Person
from tests.inference.usage.house import sent, used


@dataclass
class Pod:
    """A server whose metrics are the engine's own."""

    metrics: Metrics
    url: str = ""
    status: int = 200


@pytest.fixture
def pod(valkey: redis.Redis, settings_with: Any) -> Iterator[Pod]:
    """The pod of this installation for a while."""
    made = Pod(Metrics())

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = made.metrics.render({}).encode() if self.path == "/metrics" else b""
            self.send_response(made.status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    valkey.delete(LOOKS)
    try:
        with settings_with(POD_URL=f"http://127.0.0.1:{server.server_port}"):
            yield made
    finally:
        valkey.delete(LOOKS)
        server.shutdown()
        thread.join()
        server.server_close()


def ended_now(person: Person, **changes: Any) -> dict[str, Any]:
    """A request that ended just now, after a second."""
    return sent(person, started_at=time.time() - 1, duration_ms=1000.0, **changes)


def hour(pod: Pod, counted: int) -> Comparison | None:
    """An hour in which the pod counted so much: the look at its beginning was before it, two are after."""
    pod.metrics.observe("generated_tokens", counted)
    counters.compare()
    return counters.compare()


def test_tokens_are_read_from_the_engines_own_metrics() -> None:
    metrics = Metrics()
    for tokens in (3, 123_456_789):
        metrics.observe("generated_tokens", tokens)
    assert generated_tokens(metrics.render({"tgi_queue_size": 1})) == 123_456_792
    assert generated_tokens("something else 1\n") is None


def test_servers_and_records_that_agree_are_said_to(
    owner: Person, stranger: Person, valkey: redis.Redis, pod: Pod
) -> None:
    assert counters.compare() is None
    used(
        valkey,
        ended_now(owner, completion_tokens=5000),
        ended_now(stranger, completion_tokens=2000),
        ended_now(stranger, completion_tokens=900, cache="hit"),
        ended_now(owner, completion_tokens=40, status="cancelled"),
    )
    found = hour(pod, 7010)
    assert found == Comparison(counted=7010, completed=7000, cut_off=40)
    assert found.difference == 0
    assert found.is_tolerable


@pytest.mark.parametrize(("counted", "difference"), [(9_000, 4_000), (1_000, 4_000)])
def test_a_difference_over_the_threshold_is_told_with_its_figures(
    owner: Person,
    valkey: redis.Redis,
    pod: Pod,
    monkeypatch: pytest.MonkeyPatch,
    counted: int,
    difference: int,
) -> None:
    said: list[tuple[str, dict[str, Any]]] = []

    class Log:
        def info(self, event: str, **facts: Any) -> None:
            pass

        def error(self, event: str, **facts: Any) -> None:
            said.append((event, facts))

    monkeypatch.setattr(counters, "log", Log())
    counters.compare()
    used(valkey, ended_now(owner, completion_tokens=5_000))
    hour(pod, counted)
    [(event, facts)] = said
    assert event == "usage.counters_differ"
    assert (facts["counted"], facts["completed"], facts["difference"]) == (counted, 5_000, difference)


def test_a_server_that_started_anew_is_compared_from_then_on(
    owner: Person, valkey: redis.Redis, pod: Pod
) -> None:
    pod.metrics.observe("generated_tokens", 100)
    counters.compare()
    pod.metrics = Metrics()
    assert hour(pod, 0) is None
    assert counters.compare() == Comparison(0, 0, 0)


def test_a_server_that_does_not_answer_is_no_difference(pod: Pod) -> None:
    pod.status = 503
    assert [counters.compare() for _ in range(4)] == [None] * 4
