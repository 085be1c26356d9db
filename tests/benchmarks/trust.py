"""What trust costs: `make bench-trust`.

Encrypting and storing, and reading back, against plain AES-GCM of the same library with the same store in the
same run; ranges; memory at any size. Then what sealing the audit log costs (`tests.benchmarks.audit`).
"""

import io
import os
import resource
import time
import tracemalloc
from collections.abc import Callable, Iterator
from importlib import import_module

from kernel.crypto.streams import SEGMENT_BYTES, Readable, StreamReader, Unlock, encrypt
from kernel.crypto.values import TAG_BYTES
from kernel.ids import uuid7
from tests.benchmarks import audit, platform
from tests.benchmarks.figures import Figure, against, at_least_of, at_most, keep
from tests.benchmarks.streams import CIPHER, KEK, InMemory

MEBIBYTE = 1 << 20
STORED_BYTES = 256 * MEBIBYTE
ROUNDS = 5
GOAL_SHARE = 0.8
LARGE_BYTES = 10 << 30
FLAT_MEBIBYTES = 16.0
MEMORY_BYTES = 1 << 30
# Parts of 8 MiB under way, and the one in the making; segments of 1 MiB.
MEMORY_OF_PUT, MEMORY_OF_GET = 64.0, 8.0
RANGES = 50
# What can be imported only once the stores run.
NEEDING_SETTINGS = ("kernel.crypto.keys", "kernel.storage.client", "kernel.storage.objects")


class Generated:
    """So many bytes that take no memory."""

    def __init__(self, size: int) -> None:
        self._block = os.urandom(SEGMENT_BYTES)
        self._left = size

    def read(self, size: int, /) -> bytes:
        chunk = self._block[: min(size, self._left)]
        self._left -= len(chunk)
        return chunk


def plain(content: Readable) -> Iterator[bytes]:
    """What a program does that knows nothing but AES-GCM."""
    index = 0
    while piece := content.read(SEGMENT_BYTES):
        yield CIPHER.encrypt(index.to_bytes(12, "big"), piece, None)
        index += 1


def seconds(act: Callable[[], object]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def peak_mebibytes() -> float:
    """The most memory that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def traced_mebibytes(act: Callable[[], object]) -> float:
    """The most memory that Python held for it at once."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1] / MEBIBYTE
    finally:
        tracemalloc.stop()


def flat() -> list[Figure]:
    """Encrypting and opening 10 GB: how much memory more than for 64 MiB."""

    def through(size: int) -> float:
        for _ in encrypt(Generated(size), KEK, b"here"):
            pass
        return peak_mebibytes()

    small = through(64 * MEBIBYTE)
    began = time.perf_counter()
    grown = through(LARGE_BYTES) - small
    rate = LARGE_BYTES / 1e6 / (time.perf_counter() - began)
    return [
        at_most("memory more for 10 GB than for 64 MiB, encrypted to nowhere", grown, "MiB", FLAT_MEBIBYTES),
        Figure("encrypting 10 GB", rate, "MB/s"),
    ]


def ranges() -> list[Figure]:
    """4 KiB from anywhere in an object, against opening as many segments plainly."""
    content = os.urandom(MEBIBYTE) * 64
    ciphertext = b"".join(encrypt(io.BytesIO(content), KEK, b"here"))
    reader = StreamReader(InMemory(ciphertext), Unlock(lambda _: KEK, b"here"))
    segment = CIPHER.encrypt(bytes(12), content[:SEGMENT_BYTES], None)
    places = [place * 1_300_021 % (len(content) - 4096) for place in range(RANGES)]
    ours = seconds(lambda: [list(reader.read_range(place, 4096)) for place in places]) / RANGES
    theirs = seconds(lambda: [CIPHER.decrypt(bytes(12), segment, None) for _ in places]) / RANGES
    return [
        against("4 KiB from 64 MiB in memory", ours * 1e3, "ms", peer="one segment", peer_value=theirs * 1e3)
    ]


def stored() -> list[Figure]:
    """The same bytes through the real store, with our encryption and with plain AES-GCM."""
    keys, client, objects = (import_module(name) for name in NEEDING_SETTINGS)
    organization_id, store = uuid7(), client.bucket()
    keys.key_for(organization_id)
    ours, theirs = (
        f"organizations/{organization_id}/bench/{uuid7()}",
        f"organizations/{organization_id}/plain/x",
    )

    large = f"organizations/{organization_id}/bench/{uuid7()}"

    def put_ours() -> None:
        objects.put(organization_id, ours, Generated(STORED_BYTES))

    def put_plainly() -> None:
        store.client.upload_fileobj(Joined(plain(Generated(STORED_BYTES))), store.name, theirs)

    def get_ours() -> None:
        for _ in objects.get(organization_id, ours):
            pass

    def get_plainly() -> None:
        body = store.client.get_object(Bucket=store.name, Key=theirs)["Body"]
        index = 0
        while piece := body.read(SEGMENT_BYTES + TAG_BYTES):
            CIPHER.decrypt(index.to_bytes(12, "big"), piece, None)
            index += 1

    ways = {"put": put_ours, "plain put": put_plainly, "get": get_ours, "plain get": get_plainly}
    peak = traced_mebibytes(lambda: objects.put(organization_id, large, Generated(MEMORY_BYTES)))
    peak_of_get = traced_mebibytes(lambda: sum(len(chunk) for chunk in objects.get(organization_id, large)))
    objects.delete(organization_id, large)
    rounds = [{name: seconds(way) for name, way in ways.items()} for _ in range(ROUNDS)]
    rate = {name: STORED_BYTES / 1e6 / min(one[name] for one in rounds) for name in ways}
    first = seconds(lambda: list(objects.get_range(organization_id, ours, STORED_BYTES // 2, 4096)))
    objects.delete_everything(organization_id)
    return [
        at_least_of(
            "encrypt and store 256 MiB",
            rate["put"],
            "MB/s",
            peer="plain AES-GCM and boto3's own upload",
            peer_value=rate["plain put"],
            share=GOAL_SHARE,
        ),
        at_least_of(
            "fetch and open 256 MiB",
            rate["get"],
            "MB/s",
            peer="plain AES-GCM",
            peer_value=rate["plain get"],
            share=GOAL_SHARE,
        ),
        Figure("4 KiB from the middle of 256 MiB in the store", first * 1e3, "ms"),
        at_most("memory while storing 1 GiB", peak, "MiB", MEMORY_OF_PUT),
        at_most("memory while fetching 1 GiB", peak_of_get, "MiB", MEMORY_OF_GET),
    ]


class Joined:
    """Chunks as a file that can be read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int = -1, /) -> bytes:
        while size < 0 or len(self._rest) < size:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            self._rest += chunk
        piece, self._rest = (self._rest, b"") if size < 0 else (self._rest[:size], self._rest[size:])
        return piece


def main() -> list[Figure]:
    """Measure, keep and return the figures."""
    # Before the stores: what they cost in memory is not ours.
    figures = [*flat(), *ranges()]
    with platform.stores() as place:
        figures += stored()
        figures += audit.figures(place)
    keep("trust", figures)
    return figures


if __name__ == "__main__":
    main()
