"""How long a caller waits for an answer, as OpenAI's clients tell it."""

import math
from collections.abc import Mapping

from inference.gateway.faults import InvalidValue

# The client for Python tells its read timeout, that for JavaScript its timeout in whole seconds, cut off.
_EXACT, _CUT_OFF = b"x-stainless-read-timeout", b"x-stainless-timeout"


def patience_of(headers: Mapping[bytes, bytes]) -> float | None:
    """Seconds; None where the caller does not say. Raises `InvalidValue`."""
    told = [_seconds(_EXACT, headers.get(_EXACT)), _seconds(_CUT_OFF, headers.get(_CUT_OFF), more=1.0)]
    return min((seconds for seconds in told if seconds is not None), default=None)


def _seconds(name: bytes, value: bytes | None, more: float = 0.0) -> float | None:
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        header = name.decode()
        raise InvalidValue(f"Invalid header '{header}': expected seconds.", param=header)
    return seconds + more
