"""A model server that streams: so many chunks, one every so many seconds, in OpenAI's words.

`python -m tests.benchmarks.data_plane.model PORT CHUNKS SECONDS`. It counts nothing and checks nothing; who
wants no stream is answered at once.
"""

import asyncio
import sys
from typing import cast

import orjson
import uvloop

CHAT = b"/v1/chat/completions"
MODEL = "mock"
WHOLE = orjson.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": MODEL,
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "tok " * 4}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14},
    }
)
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
_USAGE = b'"usage":{"prompt_tokens":10,"completion_tokens":%d,"total_tokens":%d}'


def _chunk(payload: bytes) -> bytes:
    event = b"data: " + payload + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)


def _choice(path: bytes, text: bytes, reason: bytes) -> bytes:
    """A chunk without its end. A completion names no model: the gateway would hold it to the deployment's."""
    if path == CHAT:
        head = b'"object":"chat.completion.chunk","model":"%b",' % MODEL.encode()
        said = b'"delta":{"content":"%b"}' % text
    else:
        head, said = b'"object":"text_completion",', b'"text":"%b"' % text
    choice = b'"choices":[{"index":0,%b,"finish_reason":%b}]' % (said, reason)
    return b'{"id":"chatcmpl-1","created":1,' + head + choice


class Server(asyncio.Protocol):
    """One connection; its requests come one after the other, each whole."""

    def __init__(self, chunks: int, seconds: float) -> None:
        self._chunks, self._seconds = chunks, seconds
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Answer once the request is whole."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if lengths and len(body) < int(lengths[0].partition(b":")[2]):
            return
        self._received = b""
        method, path, _ = head.split(b" ", 2)
        if b'"stream":true' in body.replace(b" ", b""):
            self._stream(path, 0)
        else:
            answer = WHOLE if method == b"POST" else b'{"data":[]}'
            self._transport.write(_JSON % (len(answer), answer))

    def _stream(self, path: bytes, number: int) -> None:
        if self._transport.is_closing():
            return
        if number == 0:
            self._transport.write(_HEAD)
        if number < self._chunks:
            self._transport.write(_chunk(_choice(path, b"word%d " % number, b"null") + b"}"))
            asyncio.get_running_loop().call_later(self._seconds, self._stream, path, number + 1)
            return
        usage = _USAGE % (self._chunks, self._chunks + 10)
        last = _chunk(_choice(path, b"", b'"stop"') + b"," + usage + b"}")
        self._transport.write(last + _chunk(b"[DONE]") + b"0\r\n\r\n")


async def serve(port: int, chunks: int, seconds: float) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Server(chunks, seconds), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
