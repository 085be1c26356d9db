"""Entries in Valkey: one round trip to look, one to keep, within each organization's bytes.

All keys of an organization have one hash slot: `lw:cache:{organization}:entry:NAME`, `:lock:NAME`, `:sizes`,
`:index`.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import structlog

from inference.gateway.link import Link, Unreachable, Word

PREFIX = "lw:cache:"
_FOLDER = Path(__file__).parent
SCRIPTS = {name: (_FOLDER / f"{name}.lua").read_text() for name in ("fetch", "keep", "release")}
_REST_SECONDS = 1.0

log = structlog.get_logger("inference.gateway")


@dataclass(frozen=True)
class Found:
    """What a look answered: the entry if there is one, else whether the right to make it was given.

    `used_bytes` is what the organization's entries take, 0 where an entry was found.
    """

    entry: bytes | None
    has_right: bool
    used_bytes: int


class Store:
    """The entries of all organizations, as one process reaches them."""

    def __init__(self, link: Link, *, organization_bytes: int) -> None:
        self._link, self._organization_bytes = link, organization_bytes
        self._name = uuid4().hex
        self._away_until = float("-inf")

    async def look(self, organization_id: str, name: bytes, *, right_seconds: float) -> Found:
        """The entry, or the right to make it for some seconds if nobody has it (0: not wanted).

        Raises `Unreachable`, at once for a moment after Valkey did not answer.
        """
        keys = _keys(organization_id, name)[:3]
        entry, right, used = await self._run("fetch", keys, [self._name, int(right_seconds * 1000)])
        return Found(entry or None, bool(right), int(used))

    async def keep(self, organization_id: str, name: bytes, entry: bytes, *, seconds: float) -> None:
        """Keep an entry for so long, and give back the right to make it. Raises `Unreachable`."""
        prefix = f"{_root(organization_id)}:entry:"
        lasts_ms = int(seconds * 1000)
        arguments: list[Word] = [self._name, name.hex(), prefix, entry, lasts_ms, self._organization_bytes]
        await self._run("keep", _keys(organization_id, name), arguments)

    async def release(self, organization_id: str, name: bytes) -> None:
        """Give back the right to make an entry. Raises `Unreachable`."""
        await self._run("release", _keys(organization_id, name)[1:2], [self._name])

    def is_nearly_full(self, used_bytes: int) -> bool:
        """Whether entries would soon have to go for new ones."""
        return used_bytes > self._organization_bytes * 3 // 4

    async def _run(self, script: str, keys: list[str], arguments: list[Word]) -> Any:
        if time.monotonic() < self._away_until:
            raise Unreachable
        try:
            return await self._link.run(script, keys, arguments)
        except Unreachable as fault:
            self._away_until = time.monotonic() + _REST_SECONDS
            log.warning("cache_unreachable", error=str(fault))
            raise


def _root(organization_id: str) -> str:
    return f"{PREFIX}{{{organization_id}}}"


def _keys(organization_id: str, name: bytes) -> list[str]:
    root = _root(organization_id)
    return [f"{root}:entry:{name.hex()}", f"{root}:lock:{name.hex()}", f"{root}:sizes", f"{root}:index"]
