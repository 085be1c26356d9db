"""What a limit answers: the words of the refusal, and the headers that OpenAI's clients read."""

import math
from collections.abc import Sequence

from inference.gateway.admission.bounds import (
    CONCURRENT_STREAMS,
    REQUESTS_PER_MINUTE,
    TOKENS_PER_MINUTE,
    Bound,
    seconds_to_reset,
)
from inference.gateway.faults import LimitReached

Headers = list[tuple[bytes, bytes]]

_NAMES = {REQUESTS_PER_MINUTE: b"requests", TOKENS_PER_MINUTE: b"tokens"}
_CONCURRENCY_RETRY_SECONDS = 1.0
_MINUTE_SECONDS = 60.0
# A client that retries by itself does so within a minute; a day or a month is not worth its while.
_WORTH_RETRYING_SECONDS = 120.0


def refusal(bound: Bound, *, used: int, wanted: int, wait_ms: int) -> LimitReached:
    """The fault: which limit, its value, what is used, what was wanted, and when it resets."""
    wait = _wait_seconds(bound, wait_ms)
    whose = f"the {bound.scope}" + (f" for the model `{bound.model}`" if bound.model else "")
    if wanted > bound.value:
        advice = f"This request alone may take up to {wanted}: shorten it or lower 'max_tokens'."
    elif bound.kind == CONCURRENT_STREAMS:
        advice = "It is free again as soon as one of them ends."
    else:
        advice = f"It resets in {_duration(wait)}. Please retry then."
    fault = LimitReached(
        f"The limit '{bound.kind}' of {whose} is reached: {used} of {bound.value} are used and this request "
        f"may take {wanted}. {advice}",
        param=bound.kind,
        retry_after_seconds=max(1, math.ceil(wait)),
    )
    fault.code = f"{bound.kind}_reached"
    fault.headers = headers_of([bound], [used], reset_seconds=wait)
    if wait > _WORTH_RETRYING_SECONDS or wanted > bound.value:
        fault.headers.append((b"x-should-retry", b"false"))
    return fault


def headers_of(
    bounds: Sequence[Bound], used: Sequence[int], *, reset_seconds: float | None = None
) -> Headers:
    """`x-ratelimit-limit-…`, `-remaining-…` and `-reset-…` of the rate that is nearest to its end."""
    nearest: dict[bytes, tuple[int, int]] = {}
    for bound, amount in zip(bounds, used, strict=True):
        name = _NAMES.get(bound.kind)
        if name is None:
            continue
        left = max(0, bound.value - amount)
        if name not in nearest or left < nearest[name][1]:
            nearest[name] = (bound.value, left)
    reset = _duration(_MINUTE_SECONDS if reset_seconds is None else reset_seconds).encode()
    headers: Headers = []
    for name, (limit, left) in nearest.items():
        headers += [
            (b"x-ratelimit-limit-" + name, b"%d" % limit),
            (b"x-ratelimit-remaining-" + name, b"%d" % left),
            (b"x-ratelimit-reset-" + name, reset),
        ]
    return headers


def _wait_seconds(bound: Bound, wait_ms: int) -> float:
    if bound.kind == CONCURRENT_STREAMS:
        return _CONCURRENCY_RETRY_SECONDS
    if bound.kind in _NAMES:
        return max(wait_ms, 1) / 1000
    return seconds_to_reset(bound.kind)


def _duration(seconds: float) -> str:
    """As OpenAI writes durations: `120ms`, `5.2s`, `1m0s`, `6h0m0s`."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    if seconds < _MINUTE_SECONDS:
        return f"{round(seconds, 1):g}s"
    whole = math.ceil(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours}h{minutes}m{whole % 60}s" if hours else f"{minutes}m{whole % 60}s"
