"""What an OpenAI-compatible server's errors mean. Each of them words errors in several ways."""

import re
from typing import Any

from inference.backends.faults import (
    BackendFault,
    Broken,
    Overloaded,
    Refused,
    TimedOut,
    TooLong,
    UnknownAdapter,
    Unreachable,
)

_TOO_LONG = re.compile(
    r"maximum context length|context length|context size|tokens? \+ `max_new_tokens`|must have less than",
    re.IGNORECASE,
)
_CONTEXT = re.compile(
    r"(?:context length (?:is |of |\()|context size \(|must be <= |must have less than )(\d+)", re.IGNORECASE
)
_PROMPT = re.compile(
    r"(\d+) (?:in the (?:messages|prompt)|input tokens|tokens from the input)"
    r"|(?:request|input) \((\d+) tokens\)|Given: (\d+)",
    re.IGNORECASE,
)
_NAMES_MODEL = re.compile(r"\b(?:model|lora|adapter)s?\b", re.IGNORECASE)
_FULL = re.compile(
    r"overload|queue is full|too many|no (?:available )?slot|capacity|rate limit", re.IGNORECASE
)
_MAX_RETRY_SECONDS = 600


def fault_of(document: Any, *, status: int, retry_after: bytes | None = None) -> BackendFault:
    """The fault that an error body stands for; `status` is the answer's, 200 inside a stream.

    `document` is whatever JSON the body held, None if it held none.
    """
    message, code, kind = _read(document)
    if status == 200:
        # Inside a stream the status is in the body, if anywhere.
        status = code or (400 if "BadRequest" in kind else 500)
    wait = _seconds(retry_after)
    if status in {400, 404, 413, 422}:
        return _refusal(message, status)
    if status == 429 or (status >= 500 and _FULL.search(f"{message} {kind}")):
        return Overloaded(message, retry_after_seconds=wait)
    if status == 503:
        return Unreachable(message, retry_after_seconds=wait or 2)
    if status in {408, 504}:
        return TimedOut(message)
    return Broken(message or f"The model server answered with status {status}.", retry_after_seconds=wait)


def _refusal(message: str, status: int) -> BackendFault:
    if _TOO_LONG.search(message):
        context, prompt = _CONTEXT.search(message), _PROMPT.search(message)
        return TooLong(
            message,
            context_tokens=int(context[1]) if context else None,
            prompt_tokens=int(next(filter(None, prompt.groups()))) if prompt else None,
        )
    if _NAMES_MODEL.search(message) and (status == 404 or re.search(r"not (?:found|loaded|exist)", message)):
        return UnknownAdapter(message, retry_after_seconds=5)
    if status == 404:
        return Broken(message or "The model server does not know the route.")
    return Refused(message)


def _read(document: Any) -> tuple[str, int, str]:
    """Message, code (0 without one) and kind: of an object, of a string, or of FastAPI's `detail`."""
    if not isinstance(document, dict):
        return "", 0, ""
    error = document.get("error", document)
    if not isinstance(error, dict):
        error = document | {"message": error}
    message = error.get("message", error.get("detail", ""))
    code = error.get("code", error.get("http_status_code"))
    kind = error.get("type") or error.get("error_type") or ""
    return (
        message if isinstance(message, str) else "",
        code if isinstance(code, int) and not isinstance(code, bool) else 0,
        str(kind),
    )


def _seconds(retry_after: bytes | None) -> int | None:
    """A `retry-after` in seconds; dates and nonsense are none."""
    if retry_after is None or not retry_after.strip().isdigit():
        return None
    return min(int(retry_after), _MAX_RETRY_SECONDS)
