"""HTTP to addresses that tenants name, for a library that speaks through `requests`."""

import io
from collections.abc import Mapping
from typing import Any

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from kernel.egress import client
from kernel.egress.errors import EgressFault

MAX_ANSWER_BYTES = 1 << 20
TIMEOUT_SECONDS = 5.0
# The outgoing client says these itself.
ITS_OWN = frozenset({"connection", "content-length", "accept-encoding", "host"})


class GuardedAdapter(BaseAdapter):
    """Sends what `requests` prepared through `kernel.egress`: public addresses only, in bounded time."""

    def send(
        self,
        request: Any,
        stream: bool = False,  # noqa: FBT001, FBT002 - as `requests` calls it
        timeout: Any = None,
        verify: Any = True,  # noqa: FBT002
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        body = request.body.encode() if isinstance(request.body, str) else request.body
        try:
            answer = client.request(
                request.method,
                request.url,
                headers={name: text for name, text in request.headers.items() if name.lower() not in ITS_OWN},
                content=body,
                max_bytes=MAX_ANSWER_BYTES,
                timeout_seconds=TIMEOUT_SECONDS,
            )
        except EgressFault as fault:
            raise requests.ConnectionError(fault.message, request=request) from fault
        response = requests.Response()
        response.status_code = answer.status
        response.headers = CaseInsensitiveDict(answer.headers)
        response.raw = io.BytesIO(answer.content)
        response.url, response.request = request.url, request
        return response

    def close(self) -> None:
        """Nothing is kept open."""


def guarded_session() -> requests.Session:
    """A session that can reach nothing but through the guard."""
    session = requests.Session()
    # No proxies or passwords from the process's environment.
    session.trust_env = False
    for scheme in ("https://", "http://"):
        session.mount(scheme, GuardedAdapter())
    return session
