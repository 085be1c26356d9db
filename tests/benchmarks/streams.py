"""Encrypted streams against plain AES-GCM of the same library, over the same bytes, in the same run.

`python -m tests.benchmarks.streams`.
"""

import io
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kernel.crypto.streams import SEGMENT_BYTES, Readable, Unlock, decrypt, encrypt, open_range
from kernel.crypto.values import TAG_BYTES, KeyEncryptionKey
from tests.benchmarks.figures import Figure, at_least_of, keep

SEGMENTS = 64
ROUNDS = 9
GOAL_SHARE = 0.8
KEK = KeyEncryptionKey(UUID(int=1), b"k" * 32)
UNLOCK = Unlock(lambda _: KEK, b"here")
CIPHER = AESGCM(b"p" * 32)


@dataclass(frozen=True)
class InMemory:
    """Ciphertext as a `RandomReader`."""

    content: bytes

    @property
    def size_bytes(self) -> int:
        return len(self.content)

    def open_at(self, start: int, length: int) -> Readable:
        source = io.BytesIO(self.content)
        source.seek(start)
        return source


def plain(act: Callable[[bytes, bytes, None], bytes], content: bytes, piece_bytes: int) -> Iterator[bytes]:
    """What a program does that knows nothing but AES-GCM: read a piece, work on it, read the next."""
    source = io.BytesIO(content)
    index = 0
    while piece := source.read(piece_bytes):
        yield act(index.to_bytes(12, "big"), piece, None)
        index += 1


def seconds(chunks: Callable[[], Iterator[bytes]]) -> float:
    """How long it takes to draw all chunks."""
    start = time.perf_counter()
    for _ in chunks():
        pass
    return time.perf_counter() - start


def main() -> list[Figure]:
    """Measure, keep and return the figures."""
    content = os.urandom(SEGMENT_BYTES) * SEGMENTS
    ciphertext = b"".join(encrypt(io.BytesIO(content), KEK, b"here"))
    plain_ciphertext = b"".join(plain(CIPHER.encrypt, content, SEGMENT_BYTES))
    ways: dict[str, Callable[[], Iterator[bytes]]] = {
        "plain encryption": lambda: plain(CIPHER.encrypt, content, SEGMENT_BYTES),
        "stream encryption": lambda: encrypt(io.BytesIO(content), KEK, b"here"),
        "plain decryption": lambda: plain(CIPHER.decrypt, plain_ciphertext, SEGMENT_BYTES + TAG_BYTES),
        "stream decryption": lambda: decrypt(io.BytesIO(ciphertext), UNLOCK),
        "range decryption": lambda: open_range(InMemory(ciphertext), 0, len(ciphertext), UNLOCK),
    }
    # The best of several interleaved rounds: what else runs on the machine slows all ways alike.
    rounds = [{name: seconds(way) for name, way in ways.items()} for _ in range(ROUNDS)]
    rate = {name: len(content) / 1e6 / min(one[name] for one in rounds) for name in ways}
    peers = {
        "stream encryption": "plain encryption",
        "stream decryption": "plain decryption",
        "range decryption": "plain decryption",
    }
    figures = [
        at_least_of(name, rate[name], "MB/s", peer=peer, peer_value=rate[peer], share=GOAL_SHARE)
        for name, peer in peers.items()
    ]
    keep("streams", figures)
    return figures


if __name__ == "__main__":
    main()
