"""The cache keys of organizations, as the serving snapshot has them now."""

from collections import OrderedDict
from uuid import UUID

import structlog

from inference.gateway.cache.secret import CacheKeys, keys_of, open_secret, sealing_key
from inference.gateway.entries import CacheEntry
from inference.gateway.faults import SnapshotUnavailable
from inference.gateway.snapshot import Snapshot
from kernel.crypto.errors import CiphertextAltered

_MAX_HELD = 10_000

log = structlog.get_logger("inference.gateway")


class Keyholder:
    """Opens each published secret once, and forgets it as soon as another or none is published."""

    def __init__(self, snapshot: Snapshot, pepper: bytes) -> None:
        self._snapshot, self._sealing_key = snapshot, sealing_key(pepper)
        self._held: OrderedDict[str, tuple[CacheEntry, CacheKeys | None]] = OrderedDict()

    async def keys(self, organization_id: str) -> CacheKeys | None:
        """The organization's keys; None where it has no cache now, whatever the reason."""
        try:
            entry = await self._snapshot.cache(organization_id)
        except SnapshotUnavailable:
            entry = None
        held = self._held.get(organization_id)
        if held is not None and held[0] is entry:
            return held[1]
        self._held.pop(organization_id, None)
        if entry is None or entry.organization_id != organization_id:
            return None
        if len(self._held) >= _MAX_HELD:
            self._held.popitem(last=False)
        keys = self._opened(entry)
        self._held[organization_id] = (entry, keys)
        return keys

    def _opened(self, entry: CacheEntry) -> CacheKeys | None:
        try:
            organization_id = UUID(entry.organization_id)
            return keys_of(open_secret(self._sealing_key, entry.sealed, organization_id, entry.generation))
        except CiphertextAltered:
            log.warning("cache_secret_unreadable", organization_id=entry.organization_id)
            return None
