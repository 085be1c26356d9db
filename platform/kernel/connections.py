"""Connections of our web processes: uvicorn's, which wait for a request's head however long that takes."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 10.0
MAX_HEAD_BYTES = 64 * 1024


class BoundedHeads(HttpToolsProtocol):
    """Closes a connection whose request's head is not there in time, or is larger than any that is meant.

    `uvicorn --http kernel.connections:BoundedHeads`. Bodies are bounded by whoever reads them.
    """

    head_seconds = HEAD_SECONDS
    _head: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Uvicorn's; the head is expected from now on."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Uvicorn's."""
        self._have_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Uvicorn's."""
        super().data_received(data)
        if self._head is not None and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        """Uvicorn's; of a further request on the connection, the head is expected from now on."""
        if self._head is None:
            self._expect_head()
        super().on_message_begin()

    def on_headers_complete(self) -> Any:
        """Uvicorn's."""
        self._have_head()
        return super().on_headers_complete()

    def _expect_head(self) -> None:
        self._head_bytes = 0
        self._head = self.loop.call_later(self.head_seconds, self._give_up)

    def _have_head(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _give_up(self) -> None:
        self._head = None
        if not self.transport.is_closing():
            self.transport.close()
