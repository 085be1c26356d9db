"""The one client for addresses that tenants name: webhooks, identity providers, sources.

Every request is checked as if it were hostile: only public addresses (and those that the operator admits),
resolved once and connected to as resolved, within one bound of time and one of size, through no proxy.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx
from django.conf import settings

from kernel.egress.destinations import Deadline, parse
from kernel.egress.errors import (
    AddressRefused,
    AddressUnreachable,
    AnswerTooLarge,
    AnswerTooLate,
    AnswerUnreadable,
)
from kernel.egress.transport import PinnedNetwork, trust

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_REDIRECTS = 3
# What must not follow a redirect to another server.
CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization"})
USER_AGENT = "Loomworks/1"


@dataclass(frozen=True)
class Answer:
    """What the server said. The names of headers are in lower case; `content` is as it was sent."""

    status: int
    headers: Mapping[str, str]
    content: bytes


def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
    max_bytes: int,
    timeout_seconds: float,
) -> Answer:
    """Ask an address once; a redirect is an answer like any other.

    `max_bytes` bounds the answer's body; 0 leaves it unread. `timeout_seconds` bounds everything together,
    from the look-up of the name to the last byte. Raises `EgressFault`.
    """
    return _ask(
        httpx.Request(method, parse(url), headers=_headers(headers), content=content),
        max_bytes,
        Deadline.within(timeout_seconds),
    )


def fetch(
    url: str, *, headers: Mapping[str, str] | None = None, max_bytes: int, timeout_seconds: float
) -> Answer:
    """Read an address, following at most 3 redirects, each checked anew. Raises `EgressFault`."""
    deadline = Deadline.within(timeout_seconds)
    here, sent = parse(url), _headers(headers)
    for _ in range(MAX_REDIRECTS + 1):
        answer = _ask(httpx.Request("GET", here, headers=sent), max_bytes, deadline)
        if answer.status not in REDIRECTS or "location" not in answer.headers:
            return answer
        there = parse(_joined(here, answer.headers["location"]))
        if (there.scheme, there.netloc) != (here.scheme, here.netloc):
            sent = {name: value for name, value in sent.items() if name.lower() not in CREDENTIALS}
        here = there
    raise AddressRefused(f"The address redirects more than {MAX_REDIRECTS} times.")


def _headers(given: Mapping[str, str] | None) -> dict[str, str]:
    # Nothing compressed is asked for, so that nothing can be larger than it looks.
    return {"User-Agent": USER_AGENT, "Accept": "*/*", **(given or {}), "Accept-Encoding": "identity"}


def _joined(here: httpx.URL, location: str) -> str:
    try:
        return str(here.join(location))
    except (httpx.InvalidURL, ValueError):
        raise AddressRefused("The address redirects to one that cannot be read.") from None


def _ask(prepared: httpx.Request, max_bytes: int, deadline: Deadline) -> Answer:
    outgoing = httpcore.Request(
        prepared.method,
        httpcore.URL(
            scheme=prepared.url.raw_scheme,
            host=prepared.url.raw_host,
            port=prepared.url.port,
            target=prepared.url.raw_path,
        ),
        headers=prepared.headers.raw,
        content=prepared.read(),
    )
    context = trust(settings.EGRESS_CA_FILE)
    try:
        with httpcore.ConnectionPool(context, network_backend=PinnedNetwork(deadline)) as pool:
            response = pool.handle_request(outgoing)
            try:
                return _read(response, max_bytes)
            finally:
                response.close()
    except (TimeoutError, httpcore.TimeoutException):
        raise AnswerTooLate from None
    except (httpcore.ProtocolError, UnicodeError):
        raise AnswerUnreadable from None
    except (OSError, httpcore.NetworkError) as fault:
        raise AddressUnreachable(_why(fault)) from None


def _read(response: httpcore.Response, max_bytes: int) -> Answer:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
    if max_bytes == 0:
        return Answer(response.status, headers, b"")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise AnswerUnreadable("The server sent a compressed answer, which was not asked for.")
    content = bytearray()
    chunks: Iterator[Any] = iter(response.iter_stream())
    for chunk in chunks:
        content += chunk
        if len(content) > max_bytes:
            raise AnswerTooLarge(f"The server's answer is larger than {max_bytes} bytes.")
    return Answer(response.status, headers, bytes(content))


def _why(fault: Exception) -> str | None:
    certificate = getattr(fault, "verify_message", None)
    return f"The server's certificate does not hold: {certificate}." if certificate else None
