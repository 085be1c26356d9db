"""The least that a proxy in Python costs: the gateway's own server and client, and nothing in between.

`MODEL_URL=… uvicorn tests.benchmarks.data_plane.floor:proxy`. It knows no key, no limit and no usage.
"""

import os
from typing import Any

from inference.backends.http11 import Pool

_PATIENCE_SECONDS = 30.0
_pools: list[Pool] = []


async def proxy(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Pass a request on, and its answer back as it comes."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    if not _pools:
        _pools.append(Pool(os.environ["MODEL_URL"], bearer="none", connect_seconds=5))
    connection = await _pools[0].post(scope["path"], body, timeout_seconds=_PATIENCE_SECONDS)
    headers = [(b"content-type", connection.headers[b"content-type"])]
    if length := connection.headers.get(b"content-length"):
        headers.append((b"content-length", length))
    await send({"type": "http.response.start", "status": connection.status, "headers": headers})
    while part := await connection.read(_PATIENCE_SECONDS):
        await send({"type": "http.response.body", "body": part, "more_body": True})
    connection.release()
    await send({"type": "http.response.body", "body": b""})
