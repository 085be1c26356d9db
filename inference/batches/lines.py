"""The lines of an input file: where each request lies, and what can be wrong with it."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import orjson

from tenants.datasets.formats.lines import BYTE_ORDER_MARK, MAX_LINE_BYTES, READ_BYTES

METHOD = "POST"
FIELDS = frozenset({"custom_id", "method", "url", "body"})
MAX_CUSTOM_ID_CHARACTERS = 512
MAX_MODEL_CHARACTERS = 250


class Seekable(Protocol):
    """A binary file, as far as it is needed."""

    def seek(self, offset: int, /) -> int:
        """Go to a byte."""
        ...

    def readline(self, size: int, /) -> bytes:
        """Up to `size` bytes, to the end of the line at most; none at the end."""
        ...


@dataclass(frozen=True)
class Line:
    """One line that is not blank, by its number from 1; `end` is the byte after it. Without `raw` it is too
    long to be read.
    """

    number: int
    end: int
    raw: bytes | None


@dataclass(frozen=True)
class Request:
    """One request of a batch; `body` is a JSON object in bytes, `model` the one that it names, if any."""

    number: int
    end: int
    custom_id: str
    body: bytes
    model: str = ""


@dataclass(frozen=True)
class Fault:
    """What is wrong with a batch or a line of its input, as OpenAI's `errors` tells it. Never content."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The fault as it is kept and shown."""
        return {"code": self.code, "message": self.message, "param": self.param, "line": self.line}


class Unusable(ValueError):
    """A line that is no request; carried to the reader as a `Fault`."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.code)
        self.fault = fault


def lines_of(stored: Seekable, *, line: int = 0, offset: int = 0) -> Iterator[Line]:
    """The lines after line `line`, which ends before byte `offset`; in constant memory."""
    stored.seek(offset)
    while raw := stored.readline(MAX_LINE_BYTES + 1):
        line, offset = line + 1, offset + len(raw)
        if len(raw) > MAX_LINE_BYTES:
            while not raw.endswith(b"\n") and (raw := stored.readline(READ_BYTES)):
                offset += len(raw)
            yield Line(line, offset, None)
        elif (content := raw.removeprefix(BYTE_ORDER_MARK) if line == 1 else raw).strip():
            yield Line(line, offset, content)


def read_request(line: Line, endpoint: str) -> Request:
    """The request that a line holds. Raises `Unusable`."""

    def require(condition: bool, code: str, message: str, param: str | None = None) -> None:  # noqa: FBT001
        if not condition:
            raise Unusable(Fault(code, message, param, line.number))

    if line.raw is None:
        limit = MAX_LINE_BYTES // (1024 * 1024)
        raise Unusable(Fault("line_too_long", f"The line is longer than {limit} MiB.", None, line.number))
    found = _decoded(line.number, line.raw)
    custom_id: Any = found.get("custom_id")
    body: Any = found.get("body")
    require(
        not found.keys() - FIELDS,
        "unknown_parameter",
        "The line has a field besides 'custom_id', 'method', 'url' and 'body'.",
    )
    require(
        isinstance(custom_id, str) and 0 < len(custom_id) <= MAX_CUSTOM_ID_CHARACTERS,
        "invalid_custom_id",
        f"'custom_id' must be a string of 1 to {MAX_CUSTOM_ID_CHARACTERS} characters.",
        "custom_id",
    )
    require(found.get("method") == METHOD, "invalid_method", "'method' must be 'POST'.", "method")
    require(found.get("url") == endpoint, "mismatched_url", f"'url' must be the batch's '{endpoint}'.", "url")
    require(isinstance(body, dict), "invalid_body", "'body' must be a JSON object.", "body")
    require(
        body["stream"] in (None, False) if "stream" in body else True,
        "unsupported_parameter",
        "'body.stream' cannot be asked for in a batch; leave it out.",
        "body.stream",
    )
    model = body.get("model")
    return Request(
        number=line.number,
        end=line.end,
        custom_id=custom_id,
        body=orjson.dumps(body),
        model=model[:MAX_MODEL_CHARACTERS] if isinstance(model, str) and model.isprintable() else "",
    )


def request_id_of(batch_id: UUID, line: int, tries: int) -> UUID:
    """The id of a request, the same whoever asks: its use is kept and billed once.

    A UUIDv7 of the batch's time. Another try after one whose use was recorded has another id.
    """
    digest = hashlib.sha256(batch_id.bytes + line.to_bytes(8, "big") + tries.to_bytes(8, "big")).digest()
    number = batch_id.int >> 80 << 80 | int.from_bytes(digest[:10], "big")
    number = number & ~(0xF << 76) | 0x7 << 76
    return UUID(int=number & ~(0x3 << 62) | 0x2 << 62)


def _decoded(number: int, raw: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError as fault:
        place = f"character {fault.colno}"
        raise Unusable(
            Fault("invalid_json", f"The line is not valid JSON ({place}).", None, number)
        ) from None
    if not isinstance(found, dict):
        raise Unusable(Fault("not_an_object", "The line must be a JSON object.", None, number))
    return found
