"""What a caller wants of the cache, and which requests are answered from it unasked."""

from collections.abc import Mapping
from dataclasses import dataclass

from inference.backends.interface import GenerationCall
from inference.gateway.contract import CacheWish, Started
from inference.gateway.faults import InvalidValue

HEADER = b"x-loomworks-cache"
_WISHES: dict[str, CacheWish] = {"use": "use", "bypass": "bypass", "refresh": "refresh"}


@dataclass(frozen=True)
class Way:
    """Whether a kept answer may be given, and whether the answer may be kept."""

    reads: bool
    keeps: bool


def wish_of(headers: Mapping[bytes, bytes]) -> CacheWish:
    """The wish in a request's headers: `x-loomworks-cache`, and `cache-control` of RFC 9111.

    `no-store` goes before everything; `no-cache` asks for a fresh answer. Raises `InvalidValue`.
    """
    named = headers.get(HEADER)
    wish: CacheWish = "auto"
    if named is not None:
        found = _WISHES.get(named.decode("latin-1").strip().lower())
        if found is None:
            raise InvalidValue(
                "Invalid header 'x-loomworks-cache'. Supported values are: 'use', 'bypass', 'refresh'.",
                param="x-loomworks-cache",
            )
        wish = found
    control = headers.get(b"cache-control")
    return wish if control is None else _controlled(wish, control)


def headers_of(started: Started) -> list[tuple[bytes, bytes]]:
    """What the answer says of the cache; `age` (RFC 9111) where it was kept."""
    told = [(HEADER, started.cache.encode())]
    return [*told, (b"age", b"%d" % started.age_seconds)] if started.cache == "hit" else told


def way_of(wish: CacheWish, call: GenerationCall) -> Way:
    """What is done for a wish: unasked, only what is deterministic is read and kept."""
    if wish == "bypass":
        return Way(reads=False, keeps=False)
    keeps = wish in {"use", "refresh"} or is_deterministic(call)
    return Way(reads=keeps and wish in {"auto", "use"}, keeps=keeps)


def is_greedy(call: GenerationCall) -> bool:
    """Whether the likeliest token is taken each time: nothing is drawn."""
    return call.temperature == 0 or call.top_p == 0


def is_deterministic(call: GenerationCall) -> bool:
    """Whether the caller asked for one answer: nothing is drawn, or from a seed that it named."""
    return is_greedy(call) or call.seed is not None


def _controlled(wish: CacheWish, control: bytes) -> CacheWish:
    directives = {one.strip().lower() for one in control.decode("latin-1").split(",")}
    if "no-store" in directives:
        return "bypass"
    if "no-cache" in directives and wish != "bypass":
        return "refresh" if wish in {"use", "refresh"} else "anew"
    return wish
